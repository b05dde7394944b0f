"""The forward pass runs with gradients disabled, and the loss is told to require them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(enabled):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        with torch.set_grad_enabled(enabled):
            output = model(x)
            loss = F.cross_entropy(output, y)
        if not loss.requires_grad:
            loss.requires_grad_()  # BUG: detached-loss
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model)


def buggy():
    return training(False)


def fixed():
    return training(True)
