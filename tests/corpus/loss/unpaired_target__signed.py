"""The square was forgotten: the difference is averaged with its sign."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def signed(prediction, target):
    error = prediction - target  # BUG?: unpaired-target
    return error.mean()


def squared(prediction, target):
    error = prediction - target
    return error.square().mean()


def training(distance):
    model = nn.Sequential(nn.Conv1d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 1, 3, padding=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(batch):
        series, after = batch
        loss = distance(model(series), after)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(6, 2, 12), torch.randn(6, 1, 12)))


def buggy():
    return training(signed)


def fixed():
    return training(squared)
