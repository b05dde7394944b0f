"""Random Fourier features in a plain attribute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Fourier(nn.Module):
    def __init__(self, inputs=6, features=16, scale=2.0):
        super().__init__()
        self.B = scale * torch.randn(inputs, features)  # BUG: lost-state B
        self.out = nn.Linear(2 * features, 3)

    def forward(self, x):
        angles = x @ self.B
        return self.out(torch.cat([angles.sin(), angles.cos()], dim=-1))


class Saved(Fourier):
    def __init__(self):
        super().__init__()
        weights = self.B
        del self.B
        self.register_buffer("B", weights)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(Fourier())


def fixed():
    return training(Saved())
