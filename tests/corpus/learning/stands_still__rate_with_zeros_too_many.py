"""A learning rate of 1e-7 where 1e-1 was meant."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Trainer:
    def __init__(self, rate: float):
        torch.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4)).double()
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=rate, momentum=0.9)

    def train_step(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = self.loss(self.net(x), y)
        loss.backward()
        self.optimizer.step()  # BUG?: stands-still
        return loss.item()


def training(rate):
    return smokestep.Training(Trainer(rate).train_step, (torch.randn(8, 6).double(), torch.randint(0, 4, (8,))))


def buggy():
    return training(1e-7)


def fixed():
    return training(1e-1)
