"""Hidden layers kept in a Python list: they run, and no optimizer ever hears of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Mlp(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.first = nn.Linear(6, 12)
        self.hidden = [nn.Linear(12, 12) for _ in range(depth)]  # BUG: unregistered-parameter
        self.last = nn.Linear(12, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


class Registered(Mlp):
    def __init__(self, depth=2):
        super().__init__(depth)
        self.hidden = nn.ModuleList(nn.Linear(12, 12) for _ in range(depth))


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
    return training(Mlp())


def fixed():
    return training(Registered())
