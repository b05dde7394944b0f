"""A group norm with one value in every group: its output is its bias, whatever comes in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, groups):
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.norm = nn.GroupNorm(groups, 8)  # BUG: single-sample-normalization norm
        self.skip = nn.Linear(6, 3)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        h = self.norm(self.fc(x))
        return self.out(torch.relu(h)) + self.skip(x)


def training(groups):
    model = Net(groups)
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
    return training(groups=8)


def fixed():
    return training(groups=2)
