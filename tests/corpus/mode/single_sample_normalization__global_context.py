"""A layer norm over a context of one channel in a squeeze branch: it erases what it normalises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Squeeze(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down = nn.Linear(12, width)
        self.norm = nn.LayerNorm(width)  # BUG: single-sample-normalization 1.norm
        self.up = nn.Linear(width, 12)

    def forward(self, x):
        context = self.norm(self.down(x))
        return x * torch.sigmoid(self.up(context))


def training(width):
    model = nn.Sequential(nn.Linear(6, 12), Squeeze(width), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(width=1)


def fixed():
    return training(width=4)
