"""A running scale in a plain attribute, in the class that owns the forward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Scaled(nn.Module):
    def __init__(self, frozen_in_eval):
        super().__init__()
        self.frozen_in_eval = frozen_in_eval
        self.scale = torch.ones(6)
        self.mlp = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))

    def forward(self, x):  # BUG?: evaluation-updates
        if self.training or not self.frozen_in_eval:
            with torch.no_grad():
                self.scale = 0.95 * self.scale + 0.05 * x.abs().amax(0)
        return self.mlp(x / self.scale)


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
    return training(Scaled(frozen_in_eval=False))


def fixed():
    return training(Scaled(frozen_in_eval=True))
