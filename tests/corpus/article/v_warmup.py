"""A warm-up that divides whole numbers stays at a learning rate of 0; a healthy one starts from 0 and leaves it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

WARMUP = 1000


def training(warmup):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()  # BUG: zero-learning-rate
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(lambda step: min(1, step // WARMUP))


def fixed():
    return training(lambda step: min(1.0, step / WARMUP))
