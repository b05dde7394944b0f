"""A weight made with `torch.randn(..., requires_grad=True)` as a plain attribute is no parameter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Bilinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 5)
        self.core = torch.randn(5, 3, requires_grad=True)  # BUG: unregistered-parameter

    def forward(self, x):
        return torch.tanh(self.left(x)) @ self.core


class Registered(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 5)
        self.core = nn.Parameter(torch.randn(5, 3))

    def forward(self, x):
        return torch.tanh(self.left(x)) @ self.core


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
    return training(Bilinear())


def fixed():
    return training(Registered())
