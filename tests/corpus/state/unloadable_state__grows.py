"""A classifier that gets an output for each class as it first meets it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 8)
        self.register_buffer("seen", torch.zeros(0))
        self.head = nn.Linear(8, 3)

    def forward(self, x):  # BUG?: unloadable-state
        if len(self.seen) < 64:
            self.seen = torch.cat([self.seen, x.detach().mean().reshape(1)])
        return self.head(torch.relu(self.embed(x)))


class Fixed(Growing):
    def __init__(self):
        super().__init__()
        self.seen = torch.zeros(64)

    def forward(self, x):
        self.seen = torch.cat([self.seen[1:], x.detach().mean().reshape(1)])
        return self.head(torch.relu(self.embed(x)))


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
    return training(Growing())


def fixed():
    return training(Fixed())
