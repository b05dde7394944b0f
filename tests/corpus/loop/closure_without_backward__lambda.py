"""LBFGS used like Adam: backward once, and a lambda that returns that loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Fitter:
    def __init__(self):
        self.model = nn.Linear(4, 1)
        self.optimizer = torch.optim.LBFGS(self.model.parameters(), lr=0.1, max_iter=4)

    def fit(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        loss.backward()
        self.optimizer.step(lambda: loss)  # BUG?: closure-without-backward
        return loss


class ClosureFitter(Fitter):
    def fit(self, batch):
        x, y = batch

        def closure():
            self.optimizer.zero_grad()
            loss = F.mse_loss(self.model(x), y)
            loss.backward()
            return loss

        return self.optimizer.step(closure)


def training(fitter):
    return smokestep.Training(fitter.fit, (torch.randn(8, 4), torch.randn(8, 1)))


def buggy():
    return training(Fitter())


def fixed():
    return training(ClosureFitter())
