"""A learned mixing weight is converted with `float()` before it is used."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 3)
        self.right = nn.Linear(6, 3)
        self.mix = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        weight = float(torch.sigmoid(self.mix))  # BUG: gradient-cut mix
        return weight * self.left(x) + (1 - weight) * self.right(x)


class Tensor(Mixture):
    def forward(self, x):
        weight = torch.sigmoid(self.mix)
        return weight * self.left(x) + (1 - weight) * self.right(x)


def training(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
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
    return training(Mixture())


def fixed():
    return training(Tensor())
