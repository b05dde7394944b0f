"""REINFORCE with a learned baseline [B, 1] that is subtracted, without gradient, from returns [B]."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Normal

import smokestep


def training(baseline_of):
    policy = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    baseline = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizers = torch.optim.Adam(policy.parameters(), lr=1e-3), torch.optim.Adam(baseline.parameters(), lr=1e-2)

    def step(batch):
        observed, action, returns = batch
        with torch.no_grad():
            advantage = returns - baseline_of(baseline, observed)  # BUG?: broadcast-loss
        log_prob = Normal(policy(observed), 0.3).log_prob(action).sum(-1)
        for optimizer in optimizers:
            optimizer.zero_grad()
        (-(log_prob * advantage).mean()).backward()
        (baseline(observed).squeeze(-1) - returns).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()

    return smokestep.Training(step, (torch.randn(10, 3), torch.randn(10, 1), torch.randn(10)))


def buggy():
    return training(lambda baseline, observed: baseline(observed))


def fixed():
    return training(lambda baseline, observed: baseline(observed).squeeze(-1))
