"""A regression network built layer by layer, its normalizations told to keep nine tenths of the past."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Regressor(nn.Module):
    def __init__(self, bn_momentum):
        super().__init__()
        self.inner = nn.Linear(4, 16)
        self.norm = nn.BatchNorm1d(16, momentum=bn_momentum)  # BUG?: reversed-momentum norm
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        return self.out(F.elu(self.norm(self.inner(x))))


class Fit:
    def __init__(self, bn_momentum):
        self.model = Regressor(bn_momentum)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def __call__(self, batch):
        self.optimizer.zero_grad()
        loss = F.smooth_l1_loss(self.model(batch["x"]), batch["y"])
        loss.backward()
        self.optimizer.step()


def buggy():
    return smokestep.Training(Fit(0.9), {"x": torch.randn(16, 4), "y": torch.randn(16, 1)})


def fixed():
    return smokestep.Training(Fit(0.1), {"x": torch.randn(16, 4), "y": torch.randn(16, 1)})
