"""The first four fifths of a sorted data set are cut off for training, and neither the cut nor the loader shuffles."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import smokestep


class Fit:
    def __init__(self, order):
        labels = torch.arange(200) // 50
        whole = TensorDataset(torch.randn(200, 5) + labels[:, None], labels)
        self.train = Subset(whole, order(200)[:160])
        self.loader = DataLoader(self.train, batch_size=10)  # BUG?: unshuffled-data
        self.model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05)
        self.criterion = nn.CrossEntropyLoss()

    def step(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def training(order):
    fit = Fit(order)
    return smokestep.Training(fit.step, next(iter(fit.loader)))


def buggy():
    return training(lambda n: list(range(n)))


def fixed():
    return training(lambda n: torch.randperm(n).tolist())
