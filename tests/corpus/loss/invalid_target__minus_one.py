"""Targets of -1 and 1 under binary cross-entropy, which wants 0 and 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(y):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)  # BUG: invalid-target
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), y))


def buggy():
    return training(torch.tensor([-1.0, 1, 1, -1, 1, -1, -1, 1]))


def fixed():
    return training(torch.tensor([0.0, 1, 1, 0, 1, 0, 0, 1]))
