"""The critic's target adds the value of the next state to terminal transitions, too: the done mask is read and not
used.

Source: seungeunrho/minimalRL pull request #21 (2019) and issue #32 (2020), "done_mask was not used when the target
was calculated"; class "terminal state" of DRLinter, missing terminal state of RLMutation.
Symptom: values of final states are overestimated; learning is worse than it should be.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

GAMMA, TAU = 0.99, 0.005


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc_s, self.fc_a = nn.Linear(3, 32), nn.Linear(1, 32)
        self.fc_q, self.fc_out = nn.Linear(64, 32), nn.Linear(32, 1)

    def forward(self, s, a):
        h = torch.cat([F.relu(self.fc_s(s)), F.relu(self.fc_a(a))], dim=1)
        return self.fc_out(F.relu(self.fc_q(h)))


class MuNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc_mu = nn.Linear(3, 64), nn.Linear(64, 1)

    def forward(self, s):
        return torch.tanh(self.fc_mu(F.relu(self.fc1(s)))) * 2


def soft_update(net, net_target):
    with torch.no_grad():
        for target, param in zip(net_target.parameters(), net.parameters(), strict=True):
            target.mul_(1 - TAU).add_(TAU * param)


def training(masked):
    q, mu = QNet(), MuNet()
    q_target, mu_target = copy.deepcopy(q), copy.deepcopy(mu)
    mu_optimizer = torch.optim.Adam(mu.parameters(), lr=0.0005)
    q_optimizer = torch.optim.Adam(q.parameters(), lr=0.001)

    def train(memory):
        s, a, r, s_prime, done_mask = memory
        with torch.no_grad():
            value = q_target(s_prime, mu_target(s_prime))
            if masked:
                value = value * done_mask
            target = r + GAMMA * value  # FAULT
        q_loss = F.smooth_l1_loss(q(s, a), target)
        q_optimizer.zero_grad()
        q_loss.backward()
        q_optimizer.step()

        mu_loss = -q(s, mu(s)).mean()
        mu_optimizer.zero_grad()
        mu_loss.backward()
        mu_optimizer.step()
        soft_update(mu, mu_target)
        soft_update(q, q_target)
        return q_loss

    s = torch.randn(32, 3)
    done_mask = (torch.rand(32, 1) > 0.2).float()
    return smokestep.Training(train, (s, torch.randn(32, 1), -(s[:, :1] ** 2), s + 0.1, done_mask))


def buggy():
    return training(masked=False)


def fixed():
    return training(masked=True)
