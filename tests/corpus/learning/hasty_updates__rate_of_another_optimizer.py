"""The learning rate of plain gradient descent, kept when Adam took its place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(rate):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(30, 16), nn.Flatten(), nn.Linear(5 * 16, 24), nn.Tanh(), nn.Linear(24, 30))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def step(batch):
        context, following = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(context), following)
        loss.backward()
        optimizer.step()  # BUG?: hasty-updates
        return loss

    return smokestep.Training(step, (torch.randint(0, 30, (12, 5)), torch.randint(0, 30, (12,))))


def buggy():
    return training(0.8)


def fixed():
    return training(0.008)
