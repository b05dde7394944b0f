"""A residual branch behind a gate of 0 that is no parameter never trains; behind a trained gate it starts at step two."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Block(nn.Module):
    def __init__(self, width, gate):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.gate = gate

    def forward(self, x):
        h = self.fc2(torch.relu(self.fc1(x)))
        return x + self.gate * h  # BUG?: zero-gradient 1.fc1.*, 1.fc2.*


def training(gate):
    model = nn.Sequential(nn.Linear(6, 12), Block(12, gate), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
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
    return training(torch.zeros(1))


def fixed():
    return training(nn.Parameter(torch.zeros(1)))
