"""A trainer class whose `after_backward` hook clears the model's gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def before_backward(self):
        pass

    def after_backward(self):
        self.model.zero_grad(set_to_none=False)  # BUG: cleared-gradients

    def fit_batch(self, batch):
        x, y = batch
        loss = F.mse_loss(self.model(x), y)
        self.before_backward()
        loss.backward()
        self.after_backward()
        self.optimizer.step()
        return loss


class Fixed(Trainer):
    def before_backward(self):
        self.model.zero_grad(set_to_none=False)

    def after_backward(self):
        pass


def training(trainer):
    return smokestep.Training(trainer.fit_batch, (torch.randn(8, 6), torch.randn(8, 1)))


def buggy():
    return training(Trainer())


def fixed():
    return training(Fixed())
