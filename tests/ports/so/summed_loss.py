"""The loss is summed over the batch with a learning rate that was chosen for its mean.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022: wrong
reduction of the loss.
Symptom: unstable from the first steps on; it gets worse with larger batches.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

import smokestep


def training(reduction):
    data = load_diabetes()
    x = torch.tensor(data.data, dtype=torch.float32) * 20
    y = torch.tensor((data.target - 152) / 77, dtype=torch.float32).unsqueeze(1)
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    criterion = nn.MSELoss(reduction=reduction)  # FAULT
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)

    def step(batch):
        features, target = batch
        optimizer.zero_grad()
        loss = criterion(net(features), target)  # FAULT
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x[:128], y[:128]))


def buggy():
    return training("sum")


def fixed():
    return training("mean")
