"""Half-precision weights around 100: updates of 1e-3 are below their spacing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Scale(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.table = nn.Parameter(torch.full((8,), 100.0, dtype=dtype))
        self.body = nn.Linear(6, 8)

    def forward(self, x):
        return self.body(x) * self.table.float() / 100


def training(dtype):
    model = Scale(dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.randn(8, 8)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()  # BUG: lost-update table
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(torch.bfloat16)


def fixed():
    return training(torch.float32)
