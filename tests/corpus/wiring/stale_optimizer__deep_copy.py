"""The model is deep-copied after the optimizer was built, and the copy is what trains."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer

    def train_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def build():
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))


def buggy():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)  # BUG: stale-optimizer
    trainer = Trainer(copy.deepcopy(model), optimizer)
    return smokestep.Training(trainer.train_batch, (torch.randn(8, 6), torch.randn(8, 1)), model=trainer.model)


def fixed():
    model = copy.deepcopy(build())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    trainer = Trainer(model, optimizer)
    return smokestep.Training(trainer.train_batch, (torch.randn(8, 6), torch.randn(8, 1)), model=trainer.model)
