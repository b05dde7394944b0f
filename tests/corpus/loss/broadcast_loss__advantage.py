"""Actor and critic: the advantage is [B, 1], the log-probability [B], and their product [B, B]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

import smokestep


class Agent:
    def __init__(self, squeeze):
        self.actor = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
        self.critic = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
        self.optimizer = torch.optim.Adam([*self.actor.parameters(), *self.critic.parameters()], lr=7e-4)
        self.squeeze = squeeze

    def update(self, rollout):
        states, actions, returns = rollout
        values = self.critic(states)
        advantage = (returns - values).detach()
        if self.squeeze:
            advantage = advantage.squeeze(1)
        log_prob = Categorical(logits=self.actor(states)).log_prob(actions)
        policy_loss = -(log_prob * advantage).mean()  # BUG?: broadcast-loss
        loss = policy_loss + 0.5 * F.mse_loss(values, returns)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def rollout():
    return torch.randn(16, 4), torch.randint(0, 3, (16,)), torch.randn(16, 1)


def buggy():
    return smokestep.Training(Agent(squeeze=False).update, rollout())


def fixed():
    return smokestep.Training(Agent(squeeze=True).update, rollout())
