"""The log-probability of an action of several dimensions is not summed over them, and broadcasts into the target.

Source: thu-ml/tianshou issue #40 (2020), "Missing sum over log_prob in SAC"; the target has shape [128, 6] for [128,
1].
Symptom: a warning about the sizes, and a loss over all pairings of action dimensions; the agent learns badly.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

import smokestep


class Actor(nn.Module):
    def __init__(self, summed):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 32), nn.ReLU())
        self.mu, self.sigma = nn.Linear(32, 3), nn.Linear(32, 3)
        self.summed = summed

    def forward(self, obs):
        h = self.body(obs)
        dist = Normal(self.mu(h), self.sigma(h).clamp(-5, 2).exp())
        x = dist.rsample()
        act = torch.tanh(x)
        log_prob = dist.log_prob(x) - torch.log(1 - act.pow(2) + 1e-6)  # FAULT
        if self.summed:
            log_prob = log_prob.sum(1, keepdim=True)
        return act, log_prob


def training(summed, alpha=0.2, gamma=0.99, tau=0.005):
    actor = Actor(summed)
    critic = nn.Sequential(nn.Linear(6 + 3, 32), nn.ReLU(), nn.Linear(32, 1))
    critic_old = copy.deepcopy(critic)
    actor_optim = torch.optim.Adam(actor.parameters(), lr=3e-4)
    critic_optim = torch.optim.Adam(critic.parameters(), lr=1e-3)

    def learn(batch):
        obs, act, rew, obs_next, done = batch
        with torch.no_grad():
            act_next, log_prob_next = actor(obs_next)
            target_q = critic_old(torch.cat([obs_next, act_next], dim=1)) - alpha * log_prob_next
            target_q = rew + (1 - done) * gamma * target_q
        critic_loss = F.mse_loss(critic(torch.cat([obs, act], dim=1)), target_q)
        critic_optim.zero_grad()
        critic_loss.backward()
        critic_optim.step()

        new_act, log_prob = actor(obs)
        actor_loss = (alpha * log_prob - critic(torch.cat([obs, new_act], dim=1))).mean()
        actor_optim.zero_grad()
        actor_loss.backward()
        actor_optim.step()
        with torch.no_grad():
            for old, new in zip(critic_old.parameters(), critic.parameters(), strict=True):
                old.lerp_(new, tau)
        return critic_loss

    obs = torch.randn(32, 6)
    done = (torch.rand(32, 1) < 0.1).float()
    return smokestep.Training(learn, (obs, torch.rand(32, 3) * 2 - 1, obs[:, :1], obs * 0.95, done))


def buggy():
    return training(summed=False)


def fixed():
    return training(summed=True)
