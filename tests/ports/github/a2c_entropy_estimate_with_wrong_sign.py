"""Where the distribution has no entropy in closed form, its estimate from log-probabilities enters the loss with the
wrong sign.

Source: DLR-RM/stable-baselines3 issue #127 (2020), "Entropy log-prob estimation": "this line should be negated, since
entropy_loss should store the negated entropy"; the same in A2C.
Symptom: exploration is punished where it should be rewarded, only with squashed distributions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

import smokestep


class SquashedPolicy(nn.Module):
    def __init__(self):
        super().__init__()
        self.latent = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
        self.action_net, self.value_net = nn.Linear(32, 2), nn.Linear(32, 1)
        self.log_std = nn.Parameter(torch.zeros(2))

    def evaluate_actions(self, obs, actions):
        h = self.latent(obs)
        distribution = Normal(self.action_net(h), self.log_std.exp())
        gaussian = torch.atanh(actions.clamp(-0.999, 0.999))
        log_prob = distribution.log_prob(gaussian) - torch.log(1 - actions**2 + 1e-6)
        return self.value_net(h).flatten(), log_prob.sum(dim=1), None


class A2C:
    def __init__(self, ent_coef=0.01, vf_coef=0.5):
        self.policy = SquashedPolicy()
        self.optimizer = torch.optim.RMSprop(self.policy.parameters(), lr=7e-4, eps=1e-5)
        self.ent_coef, self.vf_coef = ent_coef, vf_coef

    def entropy_loss(self, entropy, log_prob):
        if entropy is None:
            return -log_prob.mean()  # FAULT
        return -entropy.mean()

    def train(self, rollout):
        obs, actions, returns, advantages = rollout
        values, log_prob, entropy = self.policy.evaluate_actions(obs, actions)
        policy_loss = -(advantages * log_prob).mean()
        value_loss = F.mse_loss(returns, values)
        loss = policy_loss + self.ent_coef * self.entropy_loss(entropy, log_prob) + self.vf_coef * value_loss
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), 0.5)
        self.optimizer.step()
        return loss


class Negated(A2C):
    def entropy_loss(self, entropy, log_prob):
        return log_prob.mean() if entropy is None else -entropy.mean()


def training(agent):
    obs = torch.randn(20, 4)
    advantages = torch.randn(20)
    return smokestep.Training(agent.train, (obs, torch.tanh(torch.randn(20, 2)), obs.sum(1), advantages))


def buggy():
    return training(A2C())


def fixed():
    return training(Negated())
