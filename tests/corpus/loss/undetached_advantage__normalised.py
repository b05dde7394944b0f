"""A clipped objective whose advantages are normalised, and still carry the critic's gradient."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Normal

import smokestep


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 24), nn.ELU())
        self.mean, self.value = nn.Linear(24, 2), nn.Linear(24, 1)
        self.log_std = nn.Parameter(torch.zeros(2))

    def forward(self, obs):
        hidden = self.body(obs)
        return Normal(self.mean(hidden), self.log_std.exp()), self.value(hidden).squeeze(1)


class PPO:
    def __init__(self, detach):
        self.agent = Agent()
        self.optimizer = torch.optim.Adam(self.agent.parameters(), lr=3e-4)
        self.detach = detach

    def update(self, batch):
        obs, actions, old, returns = batch
        dist, value = self.agent(obs)
        ratio = (dist.log_prob(actions).sum(-1) - old).exp()
        advantage = returns - (value.detach() if self.detach else value)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        unclipped = ratio * advantage  # BUG?: undetached-advantage
        loss = -torch.min(unclipped, ratio.clamp(0.8, 1.2) * advantage).mean()
        loss = loss + 0.5 * (returns - value).pow(2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def batch():
    return torch.randn(16, 5), torch.randn(16, 2), -3 * torch.rand(16), torch.randn(16)


def buggy():
    return smokestep.Training(PPO(detach=False).update, batch())


def fixed():
    return smokestep.Training(PPO(detach=True).update, batch())
