"""`evaluate` leaves the model in eval mode, and the trainer never calls train again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, restore):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.restore = restore

    @torch.no_grad()
    def evaluate(self, batch):
        x, y = batch
        self.model.eval()  # BUG: inference-normalization
        accuracy = (self.model(x).argmax(dim=1) == y).float().mean().item()
        if self.restore:
            self.model.train()
        return accuracy

    def fit_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def training(restore):
    trainer = Trainer(restore)
    batch = torch.randn(8, 6), torch.randint(0, 3, (8,))
    trainer.evaluate(batch)
    return smokestep.Training(trainer.fit_batch, batch, model=trainer.model)


def buggy():
    return training(restore=False)


def fixed():
    return training(restore=True)
