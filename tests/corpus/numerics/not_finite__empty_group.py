"""The mean over a group that has no member: 0 divided by 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Pool(nn.Module):
    def __init__(self, least):
        super().__init__()
        self.body = nn.Linear(6, 12)
        self.head = nn.Linear(12, 3)
        self.least = least

    def forward(self, x, mask):
        h = self.body(x) * mask.unsqueeze(-1)
        h = h.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=self.least)  # BUG: not-finite
        return self.head(h)


def training(least):
    model = Pool(least)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(4, 5, 6), torch.randint(0, 3, (4,))
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]).float()

    def step(batch):
        x, mask, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, mask), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, mask, y))


def buggy():
    return training(least=0)


def fixed():
    return training(least=1)
