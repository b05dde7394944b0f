"""Points of a cloud, masked before the mean, which then divides by all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Cloud(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.phi = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16))
        self.rho = nn.Linear(16, 4)

    def forward(self, points, padding_mask):
        h = self.phi(points).masked_fill(padding_mask[..., None], 0.0)
        return self.rho(self.pool(h, padding_mask))


def over_all(h, padding_mask):
    return h.mean(dim=-2)  # BUG?: padded-mismatch


def over_real(h, padding_mask):
    return h.sum(dim=-2) / (~padding_mask).sum(dim=-1, keepdim=True)


def training(pool):
    model = Cloud(pool)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0], batch[1]), batch[2])
        loss.backward()
        optimizer.step()

    padding = torch.arange(12) >= torch.tensor([12, 7, 9, 5, 10])[:, None]
    points = torch.randn(5, 12, 3).masked_fill(padding[..., None], 0.0)
    return smokestep.Training(step, (points, padding, torch.tensor([0, 3, 1, 2, 0])))


def buggy():
    return training(over_all)


def fixed():
    return training(over_real)
