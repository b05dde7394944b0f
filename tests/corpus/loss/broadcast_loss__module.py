"""`SmoothL1Loss` in a trainer class: the values are [B], the targets [B, 1]."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class ValueNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 12), nn.Tanh())
        self.value = nn.Linear(12, 1)

    def forward(self, state):
        return self.value(self.body(state)).squeeze(-1)


class Trainer:
    def __init__(self):
        self.net = ValueNet()
        self.optimizer = torch.optim.RMSprop(self.net.parameters())
        self.criterion = nn.SmoothL1Loss()

    def update(self, batch):
        states, returns = batch
        loss = self.criterion(self.net(states), returns)  # BUG: broadcast-loss
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def buggy():
    return smokestep.Training(Trainer().update, (torch.randn(8, 4), torch.randn(8, 1)))


def fixed():
    return smokestep.Training(Trainer().update, (torch.randn(8, 4), torch.randn(8)))
