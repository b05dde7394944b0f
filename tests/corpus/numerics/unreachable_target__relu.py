"""A regression that ends in a ReLU, with targets below 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(16, 4)


class Clipped(Regressor):
    def forward(self, x):
        x = F.relu(self.fc1(x))
        return F.relu(self.fc2(x))  # BUG: unreachable-target


class Free(Regressor):
    def forward(self, x):
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(16, 6), torch.randn(16, 4)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Clipped())


def fixed():
    return training(Free())
