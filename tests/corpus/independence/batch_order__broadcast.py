"""A scale for each feature that the shapes of a square batch let broadcast over the samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Scaled(nn.Module):
    def __init__(self, column):
        super().__init__()
        self.column = column
        self.scale = nn.Parameter(torch.rand(8) + 0.5)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        scale = self.scale[: len(x), None] if self.column else self.scale
        return self.head(x * scale)  # BUG?: batch-order model


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Scaled(True), (torch.randn(8, 8), torch.randn(8, 1)), F.mse_loss)


def fixed():
    return training(Scaled(False), (torch.randn(8, 8), torch.randn(8, 1)), F.mse_loss)
