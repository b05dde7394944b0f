"""The actor is scored on the action that was stored, so that its loss does not contain it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Agent:
    def __init__(self, states=3, actions=2):
        self.actor = nn.Sequential(nn.Linear(states, 24), nn.ReLU(), nn.Linear(24, actions), nn.Tanh())
        self.critic = nn.Sequential(nn.Linear(states + actions, 24), nn.ReLU(), nn.Linear(24, 1))
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=1e-4)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=1e-3)

    def value(self, state, action):
        return self.critic(torch.cat([state, action], dim=1))

    def policy_loss(self, state, action):
        return -self.value(state, action).mean()

    def update(self, batch):
        state, action, target = batch
        value_loss = F.mse_loss(self.value(state, action), target)
        self.critic_optimizer.zero_grad()
        value_loss.backward()
        self.critic_optimizer.step()

        self.actor_optimizer.zero_grad()
        self.policy_loss(state, action).backward()
        self.actor_optimizer.step()  # BUG?: idle-optimizer actor.*


class Acting(Agent):
    def policy_loss(self, state, action):
        return -self.value(state, self.actor(state)).mean()


def training(agent):
    return smokestep.Training(agent.update, (torch.randn(16, 3), torch.rand(16, 2) * 2 - 1, torch.randn(16, 1)))


def buggy():
    return training(Agent())


def fixed():
    return training(Acting())
