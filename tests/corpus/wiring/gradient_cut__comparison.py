"""A learned threshold is used in a comparison, which has no gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Threshold(nn.Module):
    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(6))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        gate = (x > self.threshold).float()  # BUG: gradient-cut threshold
        return self.head(x * gate)


class SoftThreshold(Threshold):
    def forward(self, x):
        gate = torch.sigmoid(4 * (x - self.threshold))
        return self.head(x * gate)


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
    return training(Threshold())


def fixed():
    return training(SoftThreshold())
