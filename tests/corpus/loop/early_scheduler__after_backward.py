"""A class that steps its cosine schedule after backward, before the update."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=100)

    def update(self):
        self.schedule.step()  # BUG: early-scheduler
        self.optimizer.step()

    def fit_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        loss.backward()
        self.update()
        return loss


class Ordered(Trainer):
    def update(self):
        self.optimizer.step()
        self.schedule.step()


def training(trainer):
    return smokestep.Training(trainer.fit_batch, (torch.randn(8, 6), torch.randn(8, 1)))


def buggy():
    return training(Trainer())


def fixed():
    return training(Ordered())
