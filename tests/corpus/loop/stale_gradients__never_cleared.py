"""No `zero_grad` at all: every update uses the sum of all gradients so far."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(clear):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        if clear:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # BUG: stale-gradients
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(clear=False)


def fixed():
    return training(clear=True)
