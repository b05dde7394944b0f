"""A class with `fit` whose update method runs before its backward method."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Regression:
    def __init__(self, order):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.order = order

    def backward(self):
        self.loss.backward()

    def update(self):
        self.optimizer.step()  # BUG: step-before-backward

    def fit_batch(self, batch):
        x, y = batch
        self.loss = F.mse_loss(self.model(x), y)
        self.optimizer.zero_grad()
        for action in self.order:
            getattr(self, action)()
        return self.loss


def training(*order):
    return smokestep.Training(Regression(order).fit_batch, (torch.randn(8, 6), torch.randn(8, 1)))


def buggy():
    return training("update", "backward")


def fixed():
    return training("backward", "update")
