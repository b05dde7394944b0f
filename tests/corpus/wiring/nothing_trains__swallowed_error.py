"""An exception handler around the step swallows the error of every batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, classes):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, classes))
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def fit_batch(self, batch):
        x, y = batch
        try:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y)  # BUG: nothing-trains
            loss.backward()
            self.optimizer.step()
        except IndexError as error:
            print("skipping batch:", error)


def training(classes):
    trainer = Trainer(classes)
    x, y = torch.randn(8, 6), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    return smokestep.Training(trainer.fit_batch, (x, y), model=trainer.model, optimizer=trainer.optimizer)


def buggy():
    return training(3)


def fixed():
    return training(4)
