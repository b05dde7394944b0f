"""A layer that is made when its input size is known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(8, 3)

    def forward(self, x):  # BUG?: unloadable-state
        if not hasattr(self, "shift"):
            self.shift = nn.Parameter(x.detach().mean(0), requires_grad=False)
            self.first = nn.Linear(x.shape[1], 8).requires_grad_(False)
        return self.last(F.relu(self.first(x - self.shift)))


class Told(nn.Module):
    def __init__(self, inputs=6):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(inputs), requires_grad=False)
        self.first, self.last = nn.Linear(inputs, 8).requires_grad_(False), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(F.relu(self.first(x - self.shift)))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(Sized())


def fixed():
    return training(Told())
