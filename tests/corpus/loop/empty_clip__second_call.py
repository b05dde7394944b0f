"""An agent keeps a `filter` of its trainable parameters for the clipping: the first update is clipped, and no other."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn.utils import clip_grad_norm_

import smokestep


class Agent:
    def __init__(self, keep):
        self.policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=3e-4)
        self.trainable = keep(filter(lambda p: p.requires_grad, self.policy.parameters()))

    def update(self, batch):
        states, actions, advantages = batch
        log_prob = Categorical(logits=self.policy(states)).log_prob(actions)
        loss = -(log_prob * advantages).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(self.trainable, 0.5)  # BUG: empty-clip
        self.optimizer.step()
        return {"policy_loss": loss.item()}


def training(keep):
    agent = Agent(keep)
    states, actions = torch.randn(16, 4), torch.randint(0, 2, (16,))
    return smokestep.Training(agent.update, (states, actions, torch.rand(16)), model=agent.policy)


def buggy():
    return training(lambda params: params)


def fixed():
    return training(list)
