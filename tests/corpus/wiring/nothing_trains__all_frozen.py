"""Every parameter was frozen for an ablation, and the gradient flows to the input alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(train):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    model.requires_grad_(train)  # BUG: nothing-trains
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6, requires_grad=True), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model)


def buggy():
    return training(False)


def fixed():
    return training(True)
