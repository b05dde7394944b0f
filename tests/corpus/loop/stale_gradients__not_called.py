"""`zero_grad` without its parentheses, in a class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def clear(self):
        self.optimizer.zero_grad

    def fit_batch(self, batch):
        x, y = batch
        self.clear()
        loss = F.mse_loss(self.model(x), y)
        loss.backward()  # BUG: stale-gradients
        self.optimizer.step()
        return loss


class Called(Trainer):
    def clear(self):
        self.optimizer.zero_grad()


def training(trainer):
    return smokestep.Training(trainer.fit_batch, (torch.randn(8, 6), torch.randn(8, 1)))


def buggy():
    return training(Trainer())


def fixed():
    return training(Called())
