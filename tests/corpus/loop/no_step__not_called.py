"""`optimizer.step` without its parentheses: the method is named, not called."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def update(self, loss):
        self.optimizer.zero_grad()
        loss.backward()  # BUG: no-step
        self.optimizer.step

    def fit_batch(self, batch):
        x, y = batch
        loss = F.mse_loss(self.model(x), y)
        self.update(loss)
        return loss


class Called(Trainer):
    def update(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def training(trainer):
    return smokestep.Training(trainer.fit_batch, (torch.randn(8, 6), torch.randn(8, 1)))


def buggy():
    return training(Trainer())


def fixed():
    return training(Called())
