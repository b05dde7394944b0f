"""A hidden layer initialised with a large negative bias: every unit is off for every sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, 3)
        nn.init.constant_(self.fc1.bias, bias)
        self.skip = nn.Linear(6, 3)

    def forward(self, x):
        h = torch.relu(self.fc1(x))  # BUG?: zero-gradient
        return self.fc2(h) + self.skip(x)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
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
    return training(Net(-100.0))


def fixed():
    return training(Net(0.01))
