"""`zero_grad` moved between backward and step: the optimizer sees no gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(late):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        if not late:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if late:
            optimizer.zero_grad()  # BUG: cleared-gradients
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(late=True)


def fixed():
    return training(late=False)
