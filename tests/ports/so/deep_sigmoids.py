"""Ten layers of sigmoids, on which the gradient dies away before it reaches the first.

Source: Zhang et al., AutoTrainer, ICSE 2021, problem "gradient vanish"; it is a symptom in DeepDiagnosis (Wardat et
al., ICSE 2022), too.
Symptom: the accuracy stays at chance; the gradient of the first layer is a billionth of that of the last.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_circles
from torch import nn

import smokestep


class Deep(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.first = nn.Linear(2, 32)
        self.hidden = nn.ModuleList([nn.Linear(32, 32) for _ in range(9)])
        self.last = nn.Linear(32, 1)
        self.activation = activation

    def forward(self, x):
        x = self.activation(self.first(x))
        for layer in self.hidden:
            x = self.activation(layer(x))  # FAULT
        return self.last(x)


def relu_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)


def training(activation, init=None):
    points, labels = make_circles(100, noise=0.05, random_state=1)
    x = torch.tensor(points, dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32).unsqueeze(1)
    model = Deep(activation)
    if init is not None:
        model.apply(init)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(torch.sigmoid)  # FAULT


def fixed():
    return training(torch.relu, relu_weights)
