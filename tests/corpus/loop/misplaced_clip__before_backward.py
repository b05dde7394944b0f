"""The gradients are clipped before backward has made them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Embedding(20, 6), nn.Flatten(), nn.Linear(30, 2))
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def fit_batch(self, batch):
        ids, y = batch
        loss = F.cross_entropy(self.model(ids), y)
        self.optimizer.zero_grad(set_to_none=False)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)  # BUG: misplaced-clip
        loss.backward()
        self.optimizer.step()
        return loss


class Ordered(Trainer):
    def fit_batch(self, batch):
        ids, y = batch
        loss = F.cross_entropy(self.model(ids), y)
        self.optimizer.zero_grad(set_to_none=False)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss


def training(trainer):
    return smokestep.Training(trainer.fit_batch, (torch.randint(0, 20, (6, 5)), torch.randint(0, 2, (6,))))


def buggy():
    return training(Trainer())


def fixed():
    return training(Ordered())
