"""A loss summed over samples and outputs, at a learning rate for averages, under bounded activations."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Fit:
    def __init__(self, criterion: nn.Module):
        self.model = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
        self.criterion = criterion
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def run(self, batch):
        inputs, labels = batch
        loss = self.criterion(self.model(inputs), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()  # BUG?: hasty-updates
        return float(loss)


def training(reduction):
    batch = torch.randn(64, 10), torch.randint(0, 2, (64,))
    return smokestep.Training(Fit(nn.CrossEntropyLoss(reduction=reduction)).run, batch)


def buggy():
    return training("sum")


def fixed():
    return training("mean")
