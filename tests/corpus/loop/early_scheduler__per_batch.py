"""The scheduler is stepped before the optimizer: the first learning rate is never used."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(early):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        if early:
            scheduler.step()  # BUG: early-scheduler
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if not early:
            scheduler.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(early=True)


def fixed():
    return training(early=False)
