"""The learned fill value of masked entries is detached inside `torch.where`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Filled(nn.Module):
    def __init__(self):
        super().__init__()
        self.fill = nn.Parameter(torch.zeros(6))
        self.head = nn.Linear(6, 3)


class DetachedFill(Filled):
    def forward(self, x):
        x = torch.where(torch.isnan(x), self.fill.detach(), x)  # BUG: gradient-cut fill
        return self.head(x)


class LearnedFill(Filled):
    def forward(self, x):
        x = torch.where(torch.isnan(x), self.fill, x)
        return self.head(x)


def data():
    x = torch.randn(8, 6)
    x[torch.rand(8, 6) < 0.3] = float("nan")
    return x, torch.randint(0, 3, (8,))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = data()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(DetachedFill())


def fixed():
    return training(LearnedFill())
