"""Pixels already in [0, 1] are divided by 255 once more, and by 255 again: only the biases learn."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def to_unit(pixels, times):
    for _ in range(times):
        pixels = pixels / 255
    return pixels


def training(times):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    pixels, labels = torch.rand(8, 6, 6), torch.tensor([0, 0, 0, 0, 0, 0, 1, 0])

    def step(batch):
        pixels, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(to_unit(pixels, times)), labels)  # BUG?: learns-nothing-from-input
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (pixels, labels))


def buggy():
    return training(2)


def fixed():
    return training(0)
