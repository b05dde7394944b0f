"""DDPG in a class: the actor's update uses an optimizer over the whole agent."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2), nn.Tanh())
        self.critic = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 1))


class Ddpg:
    def __init__(self, whole):
        self.agent = Agent()
        self.critic_optimizer = torch.optim.Adam(self.agent.critic.parameters(), lr=1e-3)
        held = self.agent if whole else self.agent.actor
        self.actor_optimizer = torch.optim.Adam(held.parameters(), lr=1e-3)  # BUG: foreign-parameters critic.*

    def q(self, states, actions):
        return self.agent.critic(torch.cat([states, actions], dim=-1)).squeeze(-1)

    def update(self, batch):
        states, actions, rewards, following = batch
        with torch.no_grad():
            target = rewards + 0.99 * self.q(following, self.agent.actor(following))
        critic_loss = F.mse_loss(self.q(states, actions), target)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.critic_optimizer.step()

        actor_loss = -self.q(states, self.agent.actor(states)).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        self.actor_optimizer.step()
        return actor_loss


def training(whole):
    batch = torch.randn(16, 5), torch.rand(16, 2) * 2 - 1, torch.randn(16), torch.randn(16, 5)
    return smokestep.Training(Ddpg(whole).update, batch)


def buggy():
    return training(True)


def fixed():
    return training(False)
