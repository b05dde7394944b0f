"""A layer norm over the single output of a regression: it is always the norm's bias."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(tail):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1), *tail)
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randn(8, 1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)  # BUG: single-sample-normalization
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training([nn.LayerNorm(1)])


def fixed():
    return training([])
