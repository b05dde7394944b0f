"""An actor-critic with one Adam over all variables: the actor's step drives the critic to praise every action."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

STATE, ACTION = 5, 2


def networks():
    actor = nn.Sequential(nn.Linear(STATE, 16), nn.ReLU(), nn.Linear(16, ACTION), nn.Tanh())
    critic = nn.Sequential(nn.Linear(STATE + ACTION, 16), nn.ReLU(), nn.Linear(16, 1))
    return actor, critic


def transitions():
    return torch.randn(16, STATE), torch.rand(16, ACTION) * 2 - 1, torch.randn(16)


def buggy():
    actor, critic = networks()
    variables = list(actor.parameters()) + list(critic.parameters())
    optimizer = torch.optim.Adam(variables, lr=1e-3)  # BUG: foreign-parameters critic.*

    def step(batch):
        states, actions, returns = batch
        values = critic(torch.cat([states, actions], dim=1)).squeeze(1)
        critic_loss = F.mse_loss(values, returns)
        optimizer.zero_grad()
        critic_loss.backward()
        optimizer.step()

        actor_loss = -critic(torch.cat([states, actor(states)], dim=1)).mean()
        optimizer.zero_grad()
        actor_loss.backward()
        optimizer.step()
        return actor_loss

    return smokestep.Training(step, transitions(), model={"actor": actor, "critic": critic})


def fixed():
    actor, critic = networks()
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)

    def step(batch):
        states, actions, returns = batch
        values = critic(torch.cat([states, actions], dim=1)).squeeze(1)
        critic_loss = F.mse_loss(values, returns)
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        actor_loss = -critic(torch.cat([states, actor(states)], dim=1)).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()
        return actor_loss

    return smokestep.Training(step, transitions(), model={"actor": actor, "critic": critic})
