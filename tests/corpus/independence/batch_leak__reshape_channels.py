"""Channels-last images turned into channels-first ones by reshape, all in one flat row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Mosaic(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.last = last
        self.conv = nn.Conv1d(4, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        if self.last:
            x = x.permute(1, 2, 0).reshape(x.size(0), 4, -1)  # BUG: batch-leak
        else:
            x = x.permute(0, 2, 1)
        return self.head(F.relu(self.conv(x)).mean(2))


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Mosaic(True), (torch.randn(8, 7, 4), torch.randint(0, 2, (8,))))


def fixed():
    return training(Mosaic(False), (torch.randn(8, 7, 4), torch.randint(0, 2, (8,))))
