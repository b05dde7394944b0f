"""House prices in thousands, predicted through a sigmoid."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Trainer:
    def __init__(self, *tail):
        self.model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), *tail)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.criterion = nn.MSELoss()

    def fit_batch(self, batch):
        x, price = batch
        self.optimizer.zero_grad()
        predicted = self.model(x)  # BUG: unreachable-target
        loss = self.criterion(predicted, price)
        loss.backward()
        self.optimizer.step()
        return loss


def training(*tail):
    return smokestep.Training(Trainer(*tail).fit_batch, (torch.randn(16, 6), 100 + 50 * torch.rand(16, 1)))


def buggy():
    return training(nn.Sigmoid())


def fixed():
    return training()
