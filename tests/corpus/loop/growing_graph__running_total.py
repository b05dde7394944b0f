"""The loss of the epoch is summed up for the progress bar, tensors and all."""

from __future__ import annotations

import torch
import torch.nn as nn

import smokestep


class Epoch:
    def __init__(self, number):
        self.model = nn.Sequential(nn.Linear(7, 20), nn.ReLU(), nn.Linear(20, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.criterion = nn.L1Loss()
        self.number = number
        self.running_loss, self.seen = 0.0, 0

    def train_batch(self, batch):
        features, prices = batch
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(features).squeeze(1), prices)
        loss.backward()
        self.optimizer.step()
        self.running_loss += self.number(loss) * len(prices)  # BUG?: growing-graph
        self.seen += len(prices)
        return float(self.running_loss) / self.seen


def training(number):
    return smokestep.Training(Epoch(number).train_batch, (torch.randn(16, 7), torch.rand(16)))


def buggy():
    return training(lambda loss: loss)


def fixed():
    return training(lambda loss: loss.item())
