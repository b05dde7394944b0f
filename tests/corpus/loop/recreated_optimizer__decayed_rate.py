"""The learning rate is decayed by hand, and a new optimizer with momentum is made for each new rate."""

from __future__ import annotations

import math

import torch
from torch import nn, optim

import smokestep


class Trainer:
    def __init__(self, anew):
        self.net = nn.Sequential(nn.Linear(5, 24), nn.Tanh(), nn.Linear(24, 1))
        self.iteration = 0
        self.anew = anew
        self.optimizer = self.make(0.05)

    def make(self, lr):
        return optim.SGD(self.net.parameters(), lr=lr, momentum=0.9, nesterov=True)  # BUG: recreated-optimizer

    def train_step(self, batch):
        x, y = batch
        self.iteration += 1
        rate = 0.05 * math.exp(-self.iteration / 100)
        if self.anew:
            self.optimizer = self.make(rate)
        else:
            self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss = ((self.net(x) - y) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss


def training(anew):
    x = torch.randn(12, 5)
    return smokestep.Training(Trainer(anew).train_step, (x, x.sin().sum(1, keepdim=True)))


def buggy():
    return training(True)


def fixed():
    return training(False)
