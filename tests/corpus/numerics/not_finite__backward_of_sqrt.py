"""A distance of exactly 0: its square root is 0, and the gradient of the root is infinite."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Siamese:
    def __init__(self, eps):
        self.encoder = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4))
        self.optimizer = torch.optim.Adam(self.encoder.parameters())
        self.eps = eps

    def distance(self, left, right):
        return torch.sqrt((left - right).square().sum(dim=1) + self.eps)  # BUG: not-finite

    def fit_batch(self, batch):
        left, right, same = batch
        d = self.distance(self.encoder(left), self.encoder(right))
        loss = (same * d + (1 - same) * torch.relu(1 - d)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def training(eps):
    left, right = torch.randn(6, 6), torch.randn(6, 6)
    right[0] = left[0]
    return smokestep.Training(Siamese(eps).fit_batch, (left, right, torch.tensor([1.0, 0, 1, 0, 1, 0])))


def buggy():
    return training(eps=0.0)


def fixed():
    return training(eps=1e-8)
