"""`exp` of an unscaled score overflows single precision."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)


class Unstable(Attention):
    def forward(self, x):
        scores = 100 * self.query(x) @ x.T
        weights = torch.exp(scores)  # BUG: not-finite
        return self.head(weights / weights.sum(dim=1, keepdim=True) @ x)


class Stable(Attention):
    def forward(self, x):
        scores = self.query(x) @ x.T
        return self.head(torch.softmax(scores, dim=1) @ x)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
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
    return training(Unstable())


def fixed():
    return training(Stable())
