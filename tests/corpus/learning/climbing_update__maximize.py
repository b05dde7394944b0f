"""An optimizer copied from a policy gradient, which climbs, for a regression."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(**how):
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **how)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()  # BUG?: climbing-update
        return loss

    return smokestep.Training(step, (torch.randn(16, 5), torch.randn(16, 1)))


def buggy():
    return training(maximize=True)


def fixed():
    return training()
