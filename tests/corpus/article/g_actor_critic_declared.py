"""The actor-critic with one Adam over all variables, as two steps whose roles are declared by pattern."""

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

    def value(self, states, actions):
        return self.critic(torch.cat([states, actions], dim=1)).squeeze(1)


def training(agent, actor_optimizer, critic_optimizer):
    states, actions, returns = torch.randn(16, 5), torch.rand(16, 2) * 2 - 1, torch.randn(16)

    def improve_critic():
        loss = F.mse_loss(agent.value(states, actions), returns)
        critic_optimizer.zero_grad()
        loss.backward()
        critic_optimizer.step()
        return loss

    def improve_actor():
        loss = -agent.value(states, agent.actor(states)).mean()
        actor_optimizer.zero_grad()
        loss.backward()
        actor_optimizer.step()  # BUG: foreign-update critic.*
        return loss

    return smokestep.Training(
        {"critic": improve_critic, "actor": improve_actor},
        model=agent,
        trains={"critic": "critic.*", "actor": "actor.*"},
    )


def buggy():
    agent = Agent()
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)
    return training(agent, optimizer, optimizer)


def fixed():
    agent = Agent()
    actor_optimizer = torch.optim.Adam(agent.actor.parameters(), lr=1e-3)
    critic_optimizer = torch.optim.Adam(agent.critic.parameters(), lr=1e-3)
    return training(agent, actor_optimizer, critic_optimizer)
