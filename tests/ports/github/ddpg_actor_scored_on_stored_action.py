"""The actor's loss asks the critic about the action taken from the memory, not the one the actor chooses: it has no
gradient.

Source: MorvanZhou/Reinforcement-learning-with-tensorflow pull request #125 (2019): with the variable `a` "the
gradient will always be None"; fixed by `self.a`.
Symptom: the loss does not get smaller; the policy never changes.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class DDPG:
    def __init__(self, s_dim=3, a_dim=1):
        self.actor = nn.Sequential(nn.Linear(s_dim, 30), nn.ReLU(), nn.Linear(30, a_dim), nn.Tanh())
        self.critic = nn.Sequential(nn.Linear(s_dim + a_dim, 30), nn.ReLU(), nn.Linear(30, 1))
        self.actor_target, self.critic_target = copy.deepcopy(self.actor), copy.deepcopy(self.critic)
        self.a_optimizer = torch.optim.Adam(self.actor.parameters(), lr=0.001)
        self.c_optimizer = torch.optim.Adam(self.critic.parameters(), lr=0.002)

    def q(self, s, a):
        return self.critic(torch.cat([s, a], dim=1))

    def actor_loss(self, s, a):
        return -self.q(s, a).mean()  # FAULT

    def learn(self, memory):
        s, a, r, s_ = memory
        with torch.no_grad():
            q_ = self.critic_target(torch.cat([s_, self.actor_target(s_)], dim=1))
        td_error = F.mse_loss(self.q(s, a), r + 0.9 * q_)
        self.c_optimizer.zero_grad()
        td_error.backward()
        self.c_optimizer.step()

        self.a_optimizer.zero_grad()
        self.actor_loss(s, a).backward()
        self.a_optimizer.step()
        with torch.no_grad():
            for target, net in ((self.actor_target, self.actor), (self.critic_target, self.critic)):
                for old, new in zip(target.parameters(), net.parameters(), strict=True):
                    old.lerp_(new, 0.01)
        return td_error


class OwnAction(DDPG):
    def actor_loss(self, s, a):
        return -self.q(s, self.actor(s)).mean()


def training(agent):
    s = torch.randn(32, 3)
    return smokestep.Training(agent.learn, (s, torch.rand(32, 1) * 2 - 1, -(s[:, :1] ** 2), s * 0.9))


def buggy():
    return training(DDPG())


def fixed():
    return training(OwnAction())
