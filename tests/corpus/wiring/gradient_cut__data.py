"""A layer scale is taken from `.data`, so the scale never learns."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.scale = nn.Parameter(torch.full((12,), 0.5))
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        h = self.body(x) * self.scale.data  # BUG: gradient-cut scale
        return self.head(h)


class Learned(Scaled):
    def forward(self, x):
        h = self.body(x) * self.scale
        return self.head(h)


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
    return training(Scaled())


def fixed():
    return training(Learned())
