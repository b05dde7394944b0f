"""A learning rate of 0, left over from a test of the evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, lr):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)  # BUG: zero-learning-rate

    def fit_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def training(lr):
    return smokestep.Training(Trainer(lr).fit_batch, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(0)


def fixed():
    return training(0.1)
