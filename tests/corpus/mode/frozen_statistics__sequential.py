"""Keras counts momentum the other way round; carried over, 1 - momentum became 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def conv(channels_in, channels, momentum):
    return [
        nn.Conv2d(channels_in, channels, 3, padding=1),
        nn.BatchNorm2d(channels, momentum=1 - momentum),  # BUG: frozen-statistics
        nn.ReLU(),
    ]


def training(momentum):
    model = nn.Sequential(*conv(1, 4, momentum), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(1.0)


def fixed():
    return training(0.99)
