"""Forward, loss, backward, and no update."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(update):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # BUG: no-step
        if update:
            optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(update=False)


def fixed():
    return training(update=True)
