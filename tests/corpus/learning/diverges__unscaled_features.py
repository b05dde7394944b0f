"""Features in metres beside features in grams: the learning rate that suits the one is far too high for the other."""

from __future__ import annotations

import torch
from torch import nn

import smokestep

UNITS = torch.tensor([1.0, 3.0, 5.0, 1.0])


class Regression:
    def __init__(self, lr: float):
        self.model = nn.Linear(4, 1)
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)

    def __call__(self, batch):
        features, price = batch
        self.optimizer.zero_grad()
        predicted = self.model(features).squeeze(1)
        loss = self.criterion(predicted, price)  # BUG?: diverges
        loss.backward()
        self.optimizer.step()
        return loss.item()


def training(lr):
    return smokestep.Training(Regression(lr), (torch.randn(32, 4) * UNITS, torch.randn(32)))


def buggy():
    return training(0.1)


def fixed():
    return training(0.01)
