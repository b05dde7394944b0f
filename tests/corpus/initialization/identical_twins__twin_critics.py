"""Twin critics of which the smaller value counts; the second is made by copying the first."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def critic():
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))


class Agent:
    def __init__(self, copied):
        self.q1 = critic()
        self.q2 = copy.deepcopy(self.q1) if copied else critic()  # BUG?: identical-twins q1, q2
        self.optimizer = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=3e-4)

    def update(self, batch):
        states, actions, targets = batch
        inputs = torch.cat([states, actions], dim=1)
        loss = F.mse_loss(self.q1(inputs), targets) + F.mse_loss(self.q2(inputs), targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def training(copied):
    agent = Agent(copied)
    return smokestep.Training(agent.update, (torch.randn(16, 4), torch.randn(16, 2), torch.randn(16, 1)))


def buggy():
    return training(True)


def fixed():
    return training(False)
