"""`maximize=True` on the optimizer of a cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, maximize):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), maximize=maximize)  # BUG?: negative-cross-entropy

    def fit_batch(self, batch):
        x, y = batch
        loss = F.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def training(maximize):
    return smokestep.Training(Trainer(maximize).fit_batch, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(True)


def fixed():
    return training(False)
