"""One of two losses is added as a Python number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 12)
        self.kind = nn.Linear(12, 3)
        self.size = nn.Linear(12, 1)

    def forward(self, x):
        h = torch.relu(self.body(x))
        return self.kind(h), self.size(h).squeeze(1)


def training(as_number):
    model = TwoHeads()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = torch.randn(8, 6), torch.randint(0, 3, (8,)), torch.randn(8)

    def step(batch):
        x, kind, size = batch
        optimizer.zero_grad()
        kinds, sizes = model(x)
        total = F.cross_entropy(kinds, kind)
        if as_number:
            total = total + F.mse_loss(sizes, size).item()  # BUG: gradient-cut size.*
        else:
            total = total + F.mse_loss(sizes, size)
        total.backward()
        optimizer.step()
        return total

    return smokestep.Training(step, batch)


def buggy():
    return training(True)


def fixed():
    return training(False)
