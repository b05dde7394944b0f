"""A batch norm with momentum 0: it never learns its statistics, and evaluation will use 0 and 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, momentum):
        super().__init__()
        self.fc = nn.Linear(6, 12)
        self.norm = nn.BatchNorm1d(12, momentum=momentum)  # BUG: frozen-statistics norm
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.fc(x))))


def training(momentum):
    model = Net(momentum)
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(0.0)


def fixed():
    return training(0.1)
