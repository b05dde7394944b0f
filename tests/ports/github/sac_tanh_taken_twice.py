"""The squashing correction of the log-probability takes tanh of an action that is a tanh already.

Source: boyu-ai/Hands-on-RL issue #121 (2025): `action` has been squashed, and `torch.tanh(action)` squashes it again.
Symptom: the entropy is wrong for large actions; it trains about as well, with a visibly worse loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

import smokestep


class PolicyNetContinuous(nn.Module):
    def __init__(self, state_dim=3, hidden_dim=64, action_dim=1, action_bound=2.0):
        super().__init__()
        self.fc1 = nn.Linear(state_dim, hidden_dim)
        self.fc_mu, self.fc_std = nn.Linear(hidden_dim, action_dim), nn.Linear(hidden_dim, action_dim)
        self.action_bound = action_bound

    def correction(self, action):
        return torch.log(1 - torch.tanh(action).pow(2) + 1e-7)  # FAULT

    def forward(self, x):
        x = F.relu(self.fc1(x))
        dist = Normal(self.fc_mu(x), F.softplus(self.fc_std(x)))
        normal_sample = dist.rsample()
        action = torch.tanh(normal_sample)
        log_prob = dist.log_prob(normal_sample) - self.correction(action)
        return action * self.action_bound, log_prob


class SquashedOnce(PolicyNetContinuous):
    def correction(self, action):
        return torch.log(1 - action.pow(2) + 1e-7)


def training(actor):
    critic = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))
    log_alpha = torch.tensor(0.01).log().requires_grad_()
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=3e-4)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
    alpha_optimizer = torch.optim.Adam([log_alpha], lr=3e-4)

    def update(transitions):
        states, actions, rewards, next_states = transitions
        with torch.no_grad():
            next_actions, log_prob = actor(next_states)
            next_value = critic(torch.cat([next_states, next_actions], dim=1)) - log_alpha.exp() * log_prob
            target = (rewards + 8.0) / 8.0 + 0.99 * next_value
        critic_loss = F.mse_loss(critic(torch.cat([states, actions], dim=1)), target)
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        new_actions, log_prob = actor(states)
        actor_loss = (log_alpha.exp().detach() * log_prob - critic(torch.cat([states, new_actions], dim=1))).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()

        alpha_loss = (log_alpha.exp() * (-log_prob + 1.0).detach()).mean()
        alpha_optimizer.zero_grad()
        alpha_loss.backward()
        alpha_optimizer.step()
        return actor_loss

    states = torch.randn(32, 3)
    return smokestep.Training(update, (states, torch.randn(32, 1), -states[:, :1].abs(), states + 0.05))


def buggy():
    return training(PolicyNetContinuous())


def fixed():
    return training(SquashedOnce())
