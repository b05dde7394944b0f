"""A mask with the wrong sense multiplies a whole branch by 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Linear(6, 3)
        self.extra = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))

    def forward(self, x, padded):
        keep = padded.float().unsqueeze(1)
        return self.main(x) + keep * self.extra(x)  # BUG?: zero-gradient


class Kept(Gated):
    def forward(self, x, padded):
        keep = (~padded).float().unsqueeze(1)
        return self.main(x) + keep * self.extra(x)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    x, padded, y = torch.randn(8, 6), torch.zeros(8, dtype=torch.bool), torch.randint(0, 3, (8,))

    def step(batch):
        x, padded, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, padded), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, padded, y))


def buggy():
    return training(Gated())


def fixed():
    return training(Kept())
