"""The optimizer steps every fourth call, and the loss of each call counts in full."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Loop:
    def __init__(self, divide):
        self.net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)
        self.criterion = nn.MSELoss()
        self.every, self.divide, self.i = 4, divide, 0

    def __call__(self, batch):
        x, y = batch
        loss = self.criterion(self.net(x), y)
        if self.divide:
            loss = loss / self.every
        loss.backward()  # BUG?: misscaled-accumulation
        self.i += 1
        if self.i % self.every == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


def buggy():
    return smokestep.Training(Loop(divide=False), (torch.randn(6, 5), torch.randn(6, 1)))


def fixed():
    return smokestep.Training(Loop(divide=True), (torch.randn(6, 5), torch.randn(6, 1)))
