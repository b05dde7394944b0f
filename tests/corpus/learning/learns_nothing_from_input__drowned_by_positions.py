"""Position codes a million times larger than what they are added to: the layer norm after them sees nothing else."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Series(nn.Module):
    def __init__(self, scale: float):
        super().__init__()
        self.embed = nn.Linear(3, 16)
        self.register_buffer("positions", scale * torch.randn(6, 16))
        self.norm = nn.LayerNorm(16)
        self.mix = nn.Linear(6 * 16, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        hidden = self.norm(self.embed(x) + self.positions)
        return self.out(torch.tanh(self.mix(hidden.flatten(1)))).squeeze(1)


def training(scale):
    model = Series(scale)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    def step(batch):
        x, y = batch
        loss = F.mse_loss(model(x), y)  # BUG?: learns-nothing-from-input
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 6, 3), 2.0 + torch.randn(10)))


def buggy():
    return training(1e6)


def fixed():
    return training(1.0)
