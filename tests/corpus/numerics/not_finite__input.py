"""A table with a missing value, read as NaN and handed to the network as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Table:
    def __init__(self, rows, fill):
        self.rows = torch.nan_to_num(rows, nan=0.0) if fill else rows

    def batch(self, indices):
        return self.rows[indices, :-1], self.rows[indices, -1:]  # BUG: not-finite


def training(fill):
    rows = torch.randn(16, 5)
    rows[3, 1] = float("nan")
    table = Table(rows, fill)
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(indices):
        features, price = table.batch(indices)
        loss = F.mse_loss(model(features), price)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.arange(8))


def buggy():
    return training(fill=False)


def fixed():
    return training(fill=True)
