"""The batch size of the experiment written into a view."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(64, 3)

    def forward(self, x):
        h = F.relu(self.conv(x))
        h = h.view(self.size or len(x), 64)  # BUG?: batch-size
        return self.head(h)


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
    return training(Net(8), (torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))))


def fixed():
    return training(Net(None), (torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))))
