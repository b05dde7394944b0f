"""The recomputed values are flat, [batch], the stored returns a column, [batch, 1]: each value is fitted to every
return.

Source: RLinf/RLinf issue #1568 (2026), "OpenPI PPO critic loss silently broadcasts [B] values against [B, 1]
returns".
Symptom: the predictions collapse toward the mean return of the batch; the statistics of value clipping are wrong.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

import smokestep


class ActorCritic(nn.Module):
    def __init__(self, squeeze):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.LayerNorm(32))
        self.policy_head, self.value_head = nn.Linear(32, 5), nn.Linear(32, 1)
        self.squeeze = squeeze

    def forward(self, observations):
        h = self.trunk(observations)
        values = self.value_head(h)
        if self.squeeze:
            values = values.squeeze(-1)
        return self.policy_head(h), values


def critic_loss(values, returns, previous, clip=0.2):
    clipped = previous + (values - previous).clamp(-clip, clip)
    original = F.huber_loss(returns - values, torch.zeros(()).expand_as(returns - values), reduction="none")  # FAULT
    limited = F.huber_loss(returns - clipped, torch.zeros(()).expand_as(returns - clipped), reduction="none")  # FAULT
    return torch.max(original, limited).mean()


def training(squeeze):
    model = ActorCritic(squeeze)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    def update(rollout):
        observations, actions, advantages, returns, previous, old = rollout
        logits, values = model(observations)
        distribution = Categorical(logits=logits)
        ratio = (distribution.log_prob(actions) - old).exp()
        policy_loss = -torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
        loss = policy_loss + 0.5 * critic_loss(values, returns, previous) - 0.01 * distribution.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    observations, actions = torch.randn(16, 8), torch.randint(0, 5, (16,))
    returns = observations.sum(1, keepdim=True)
    with torch.no_grad():
        logits, values = model(observations)
        old = Categorical(logits=logits).log_prob(actions)
    values = values.view(-1, 1)
    return smokestep.Training(update, (observations, actions, (returns - values).view(-1), returns, values, old))


def buggy():
    return training(squeeze=True)


def fixed():
    return training(squeeze=False)
