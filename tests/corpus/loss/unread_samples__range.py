"""A loop over the samples ends one too early."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def total(outputs, targets, last):
    loss = outputs.new_zeros(())
    for i in range(last):
        error = outputs[i] - targets[i]  # BUG?: unread-samples
        loss = loss + error.pow(2).mean()
    return loss / last


def training(missing):
    net = nn.Sequential(nn.Linear(5, 10), nn.Tanh(), nn.Linear(10, 2))
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = total(net(x), y, len(x) - missing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(5, 5), torch.randn(5, 2)))


def buggy():
    return training(missing=1)


def fixed():
    return training(missing=0)
