"""An initialisation hook that sets every weight to one number, applied to the whole network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def init_constant(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.02)  # BUG: symmetric-units 0.weight, 2.weight
        nn.init.zeros_(module.bias)


def init_normal(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def training(init):
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 5))
    model.apply(init)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(16, 12), torch.randint(0, 5, (16,))))


def buggy():
    return training(init_constant)


def fixed():
    return training(init_normal)
