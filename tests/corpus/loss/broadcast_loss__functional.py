"""A regression whose output [B, 1] meets a target [B]: the loss compares every sample with every other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(squeeze):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randn(8)

    def step(batch):
        x, y = batch
        output = model(x)
        if squeeze:
            output = output.squeeze(1)
        loss = F.mse_loss(output, y)  # BUG: broadcast-loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(squeeze=False)


def fixed():
    return training(squeeze=True)
