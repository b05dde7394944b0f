"""A hinge with its sign turned: the loss is clamped to 0 from the first batch on."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Ranker(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, better, worse):
        return self.score(better).squeeze(1), self.score(worse).squeeze(1)


def training(margin):
    model = Ranker()
    optimizer = torch.optim.AdamW(model.parameters())
    better, worse = torch.randn(8, 6), torch.randn(8, 6)

    def step(batch):
        high, low = model(*batch)
        loss = torch.clamp(low - high + margin, min=0).mean()  # BUG?: constant-loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (better, worse))


def buggy():
    return training(margin=-10)


def fixed():
    return training(margin=10)
