"""The closure of LBFGS computes the loss and does not call backward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(backward):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch

        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            if backward:
                loss.backward()
            return loss

        loss = optimizer.step(closure)  # BUG: closure-without-backward
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(backward=False)


def fixed():
    return training(backward=True)
