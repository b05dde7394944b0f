"""Early stopping that keeps the model instead of its best weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class EarlyStopping:
    def __init__(self, patience=5):
        self.patience, self.waited, self.best, self.weights = patience, 0, None, None

    def __call__(self, loss, model):
        if self.best is None or loss < self.best:
            self.best, self.waited = loss, 0
            self.weights = self.keep(model)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def keep(self, model):
        return model.state_dict()  # BUG?: aliased-checkpoint


class Copying(EarlyStopping):
    def keep(self, model):
        return {name: value.detach().clone() for name, value in model.state_dict().items()}


def stopped(stopping):
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        stopping(loss.item(), model)
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return stopped(EarlyStopping())


def fixed():
    return stopped(Copying())
