"""A batch from the replay memory has `done`, and the target of the Q-network forgets it."""

from __future__ import annotations

import copy
from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

Transition = namedtuple("Transition", "state action reward next_state done")


class DQN:
    gamma = 0.99

    def __init__(self, masked):
        self.q = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))
        self.target = copy.deepcopy(self.q).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=1e-3)
        self.masked = masked

    def learn(self, batch):
        with torch.no_grad():
            best = self.target(batch.next_state).max(dim=1).values
        if self.masked:
            best = best * (1 - batch.done)
        expected = batch.reward + self.gamma * best
        chosen = self.q(batch.state).gather(1, batch.action).squeeze(1)  # BUG?: unread-field
        loss = F.smooth_l1_loss(chosen, expected)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.q.parameters(), strict=True):
                slow.lerp_(fast, 0.05)
        return loss


def training(masked):
    n = 16
    done = (torch.arange(n) % 5 == 4).float()
    batch = Transition(torch.randn(n, 4), torch.randint(0, 2, (n, 1)), torch.randn(n), torch.randn(n, 4), done)
    return smokestep.Training(DQN(masked).learn, batch)


def buggy():
    return training(False)


def fixed():
    return training(True)
