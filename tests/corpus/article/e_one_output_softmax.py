"""A softmax over one unit is always 1: binary cross-entropy written by hand on top of it is a constant."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(head):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1), head)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.randint(0, 2, (8, 1)).float()

    def step():
        optimizer.zero_grad()
        probability = model(x)  # BUG: single-logit
        loss = -(y * torch.log(probability) + (1 - y) * torch.log(1 - probability + 1e-6)).mean()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


def buggy():
    return training(nn.Softmax(dim=1))


def fixed():
    return training(nn.Sigmoid())
