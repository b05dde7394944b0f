"""A focal loss written by hand whose minus sign is missing."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Focal(nn.Module):
    def __init__(self, sign, gamma=2.0):
        super().__init__()
        self.sign, self.gamma = sign, gamma

    def forward(self, logits, targets):
        p = torch.sigmoid(logits)
        p_t = torch.where(targets == 1, p, 1 - p).clamp(1e-6, 1 - 1e-6)
        return (self.sign * (1 - p_t) ** self.gamma * torch.log(p_t)).mean()  # BUG?: inverted-loss


def training(sign):
    model = nn.Sequential(nn.Linear(7, 24), nn.ReLU(), nn.Linear(24, 1), nn.Flatten(0))
    criterion = Focal(sign)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(12, 7), (torch.arange(12) % 2).float()))


def buggy():
    return training(sign=1)


def fixed():
    return training(sign=-1)
