"""The update stands before backward: it uses the gradients of the batch before, or none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(early):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if early:
            optimizer.step()  # BUG: step-before-backward
            loss.backward()
        else:
            loss.backward()
            optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(early=True)


def fixed():
    return training(early=False)
