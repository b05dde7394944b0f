"""A shuffle that starts by seeding Python's generator from the system."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def shuffled(reseed):
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(64, 6), torch.randint(0, 3, (64,))
    if reseed:
        random.seed()  # BUG?: irreproducible
    order = random.sample(range(64), 64)

    def step():
        index = order[:8]
        order[:] = order[8:] + index
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[index]), y[index])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


def buggy():
    return shuffled(True)


def fixed():
    return shuffled(False)
