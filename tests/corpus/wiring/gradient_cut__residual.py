"""The residual branch is detached, so its layers never learn."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12))

    def forward(self, x):
        return x + self.inner(x)


class DetachedBlock(Block):
    def forward(self, x):
        return x + self.inner(x).detach()  # BUG: gradient-cut 1.inner.*


def build(block):
    return nn.Sequential(nn.Linear(6, 12), block, nn.Linear(12, 3))


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
    return training(build(DetachedBlock()))


def fixed():
    return training(build(Block()))
