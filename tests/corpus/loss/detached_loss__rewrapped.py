"""The loss is wrapped in `torch.tensor(..., requires_grad=True)` to silence an error of backward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(rewrap):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if rewrap:
            loss = torch.tensor(loss.item(), requires_grad=True)  # BUG: detached-loss
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model)


def buggy():
    return training(rewrap=True)


def fixed():
    return training(rewrap=False)
