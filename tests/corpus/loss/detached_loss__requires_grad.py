"""A class whose `compute_loss` returns the detached value that it logs, made to require grad again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.history = []

    def compute_loss(self, batch):
        x, y = batch
        loss = F.l1_loss(self.model(x), y)
        self.history.append(loss.detach())
        return self.history[-1].requires_grad_()  # BUG: detached-loss

    def fit_batch(self, batch):
        loss = self.compute_loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Attached(Trainer):
    def compute_loss(self, batch):
        x, y = batch
        loss = F.l1_loss(self.model(x), y)
        self.history.append(loss.detach())
        return loss


def training(trainer):
    return smokestep.Training(trainer.fit_batch, (torch.randn(8, 6), torch.randn(8, 1)), model=trainer.model)


def buggy():
    return training(Trainer())


def fixed():
    return training(Attached())
