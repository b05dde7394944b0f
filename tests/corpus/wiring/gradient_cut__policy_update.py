"""The update of a policy asks for its log-probabilities without gradient, as the rollout before it rightly does."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Normal

import smokestep


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
        self.actor = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
        self.log_std = nn.Parameter(torch.zeros(1, 2))

    def act(self, seen, action=None):
        choice = Normal(self.actor(seen), self.log_std.exp())
        action = choice.sample() if action is None else action
        return action, choice.log_prob(action).sum(1), choice.entropy().sum(1)


def without_gradient(agent, seen, action):
    with torch.no_grad():
        return agent.act(seen, action)  # BUG?: gradient-cut log_std, actor.*


def with_gradient(agent, seen, action):
    return agent.act(seen, action)


def training(again):
    agent = Agent()
    optimizer = torch.optim.Adam(agent.parameters(), lr=2.5e-4)

    def step(seen):
        with torch.no_grad():
            action, before, _ = agent.act(seen)
            returns = seen.sum(1) + 0.1 * torch.randn(len(seen))
            advantage = returns - agent.critic(seen).flatten()
        for _ in range(2):
            _, now, entropy = again(agent, seen, action)
            ratio = (now - before).exp()
            policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2)).mean()
            value_loss = (agent.critic(seen).flatten() - returns).square().mean()
            loss = policy_loss - 0.01 * entropy.mean() + 0.5 * value_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return smokestep.Training(step, torch.randn(32, 3))


def buggy():
    return training(without_gradient)


def fixed():
    return training(with_gradient)
