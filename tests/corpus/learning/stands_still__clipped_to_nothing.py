"""Gradients clipped by value with the number that belonged to the learning rate."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(limit):
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6, 1)).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
    x, y = torch.randn(5, 2, 8).double(), torch.randn(5, 1).double()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        nn.utils.clip_grad_value_(net.parameters(), limit)
        optimizer.step()  # BUG?: stands-still
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(1e-7)


def fixed():
    return training(1.0)
