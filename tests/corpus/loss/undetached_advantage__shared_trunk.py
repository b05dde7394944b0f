"""Actor and critic on one trunk with one loss: the advantage that weighs the policy is not detached."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

import smokestep


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
        self.actor, self.critic = nn.Linear(32, 3), nn.Linear(32, 1)

    def forward(self, x):
        hidden = self.trunk(x)
        return Categorical(logits=self.actor(hidden)), self.critic(hidden).squeeze(-1)


def training(weight_of):
    model = ActorCritic()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=7e-4, eps=1e-5)

    def step(rollout):
        dist, values = model(rollout["obs"])
        log_probs, entropy = dist.log_prob(rollout["actions"]), dist.entropy().mean()
        advantages = rollout["returns"] - values
        value_loss = F.mse_loss(values, rollout["returns"])
        action_loss = -(weight_of(advantages) * log_probs).mean()  # BUG?: undetached-advantage
        optimizer.zero_grad()
        (action_loss + 0.5 * value_loss - 0.01 * entropy).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

    rollout = {"obs": torch.randn(20, 4), "actions": torch.randint(0, 3, (20,)), "returns": torch.randn(20)}
    return smokestep.Training(step, rollout)


def buggy():
    return training(lambda advantages: advantages)


def fixed():
    return training(torch.Tensor.detach)
