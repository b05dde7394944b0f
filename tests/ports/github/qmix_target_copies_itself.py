"""The target network is synchronised with its own weights instead of the evaluated network's, so it never changes.

Source: thesouther/MARL issue #8 (2022): `self.target_qmix_net.load_state_dict(self.target_qmix_net.state_dict())`;
fixed by the author.
Symptom: the targets come from the random initial network for ever; the agent does not learn.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Policy:
    def __init__(self, gamma=0.99, period=2):
        self.eval_net, self.target_net = self.build(), self.build()
        self.target_net.load_state_dict(self.eval_net.state_dict())
        self.optimizer = torch.optim.RMSprop(self.eval_net.parameters(), lr=5e-4)
        self.gamma, self.period, self.steps = gamma, period, 0

    @staticmethod
    def build():
        return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4))

    def synchronise(self):
        self.target_net.load_state_dict(self.target_net.state_dict())  # FAULT

    def learn(self, batch):
        s, a, r, s_next, done = batch
        q_evals = self.eval_net(s).gather(1, a).squeeze(1)
        with torch.no_grad():
            q_targets = self.target_net(s_next).max(dim=1).values
        targets = r + self.gamma * (1 - done) * q_targets
        loss = F.mse_loss(q_evals, targets)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.eval_net.parameters(), 10)
        self.optimizer.step()
        self.steps += 1
        if self.steps % self.period == 0:
            self.synchronise()
        return loss


class Synchronised(Policy):
    def synchronise(self):
        self.target_net.load_state_dict(self.eval_net.state_dict())


def training(policy):
    s = torch.randn(32, 6)
    batch = (s, torch.randint(0, 4, (32, 1)), s[:, 0], s + 0.1 * torch.randn(32, 6), (torch.rand(32) < 0.1).float())
    return smokestep.Training(policy.learn, batch)


def buggy():
    return training(Policy())


def fixed():
    return training(Synchronised())
