"""The loss compares the output with the output."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Linear(6, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def loss(self, output, target):
        return F.mse_loss(output, torch.zeros_like(output))  # BUG?: ignored-target

    def fit_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


class Compared(Trainer):
    def loss(self, output, target):
        return F.mse_loss(output, target)


def buggy():
    return smokestep.Training(Trainer().fit_batch, (torch.randn(8, 6), torch.randn(8, 2)))


def fixed():
    return smokestep.Training(Compared().fit_batch, (torch.randn(8, 6), torch.randn(8, 2)))
