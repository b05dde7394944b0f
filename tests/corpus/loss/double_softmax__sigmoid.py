"""A sigmoid before `BCEWithLogitsLoss`, which applies another one."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Detector:
    def __init__(self):
        self.backbone = nn.Linear(6, 12)
        self.head = nn.Linear(12, 4)
        self.optimizer = torch.optim.Adam([*self.backbone.parameters(), *self.head.parameters()])
        self.criterion = nn.BCEWithLogitsLoss()

    def predict(self, x):
        return torch.sigmoid(self.head(torch.relu(self.backbone(x))))  # BUG: double-softmax

    def fit_batch(self, batch):
        x, y = batch
        loss = self.criterion(self.predict(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class LogitDetector(Detector):
    def predict(self, x):
        return self.head(torch.relu(self.backbone(x)))


def training(detector):
    return smokestep.Training(detector.fit_batch, (torch.randn(8, 6), torch.randint(0, 2, (8, 4)).float()))


def buggy():
    return training(Detector())


def fixed():
    return training(LogitDetector())
