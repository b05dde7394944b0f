"""The bootstrapped target of a Q-network is not detached."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Agent:
    def __init__(self, detach):
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.detach = detach

    def update(self, batch):
        states, actions, rewards, following = batch
        values = self.net(states).gather(1, actions.unsqueeze(1)).squeeze(1)
        target = rewards + 0.99 * self.net(following).max(dim=1).values
        if self.detach:
            target = target.detach()
        loss = F.smooth_l1_loss(values, target)  # BUG?: target-gradient
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def training(detach):
    batch = (torch.randn(8, 4), torch.randint(0, 2, (8,)), torch.randn(8), torch.randn(8, 4))
    return smokestep.Training(Agent(detach).update, batch)


def buggy():
    return training(detach=False)


def fixed():
    return training(detach=True)
