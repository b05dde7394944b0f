"""Attention weights normalized over the batch instead of over the positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Pooling(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.score, self.value, self.head = nn.Linear(5, 1), nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x):
        weights = torch.softmax(self.score(x), dim=self.dim)  # BUG?: batch-leak
        return self.head((weights * self.value(x)).sum(1))


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Pooling(0), (torch.randn(8, 6, 5), torch.randint(0, 3, (8,))))


def fixed():
    return training(Pooling(1), (torch.randn(8, 6, 5), torch.randint(0, 3, (8,))))
