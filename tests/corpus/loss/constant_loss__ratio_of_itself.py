"""A clipped objective recomputes the old log-probability with the current policy, and with gradient: the ratio is 1."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Categorical

import smokestep


def training(stored):
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-4)
    obs, action = torch.randn(16, 4), torch.randint(0, 3, (16,))
    with torch.no_grad():
        before = Categorical(logits=policy(obs)).log_prob(action)

    def log_prob(obs, action):
        return Categorical(logits=policy(obs)).log_prob(action)

    def step(batch):
        obs, action, old, advantage = batch
        ratio = torch.exp(log_prob(obs, action) - (old if stored else log_prob(obs, action)))
        clipped = ratio.clamp(0.8, 1.2) * advantage
        loss = -torch.min(ratio * advantage, clipped).mean()
        optimizer.zero_grad()
        loss.backward()  # BUG: constant-loss
        optimizer.step()

    return smokestep.Training(step, (obs, action, before, torch.randn(16)))


def buggy():
    return training(stored=False)


def fixed():
    return training(stored=True)
