"""A left-over line replaces the input with noise of the same shape."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))

    def forward(self, x):  # BUG: ignored-input
        x = torch.randn_like(x)
        return self.body(x)


class Reads(Net):
    def forward(self, x):
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.body(x)


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
    return training(Net())


def fixed():
    return training(Reads())
