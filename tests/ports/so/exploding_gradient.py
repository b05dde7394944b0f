"""A deep network of ReLUs starts from weights that are too large, and its gradients explode.

Source: Zhang et al., AutoTrainer, ICSE 2021, problem "gradient explode".
Symptom: the loss is huge at the first step and NaN soon after.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_blobs
from torch import nn

import smokestep


def layer(fan_in, fan_out, gain):
    linear = nn.Linear(fan_in, fan_out)
    nn.init.normal_(linear.weight, std=gain)  # FAULT
    nn.init.zeros_(linear.bias)
    return linear


def network(std):
    modules = []
    for fan_in, fan_out in [(2, 50)] + [(50, 50)] * 6:
        modules += [layer(fan_in, fan_out, std(fan_in)), nn.ReLU()]
    return nn.Sequential(*modules, layer(50, 3, std(50)))


def training(std):
    points, labels = make_blobs(120, centers=3, random_state=2)
    x = torch.tensor((points - points.mean(0)) / points.std(0), dtype=torch.float32)
    y = torch.tensor(labels)
    model = network(std)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(batch):
        x, y = batch
        pred = model(x)
        loss = loss_fn(pred, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(lambda fan_in: 1.0)


def fixed():
    return training(lambda fan_in: (2 / fan_in) ** 0.5)
