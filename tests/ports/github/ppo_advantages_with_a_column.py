"""The advantages are a column, [batch, 1], and the ratio is flat, [batch]: the surrogate becomes [batch, batch].

Source: RITCHIEHuang/DeepRL_Algorithms issue #13 (2021), "shape of PPO advantages".
Symptom: every action is weighted by every advantage; learning converges slower, and no error is raised.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Normal

import smokestep


class Actor(nn.Module):
    def __init__(self, states=4, actions=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(states, 32), nn.Tanh(), nn.Linear(32, actions))
        self.log_std = nn.Parameter(torch.zeros(actions))

    def log_prob(self, states, actions):
        return Normal(self.body(states), self.log_std.exp()).log_prob(actions).sum(dim=-1)


def estimate_advantages(rewards, masks, values, gamma=0.99, tau=0.95):
    advantages = torch.zeros_like(values)
    previous_value = previous_advantage = 0.0
    for i in reversed(range(len(rewards))):
        delta = rewards[i] + gamma * previous_value * masks[i] - values[i]
        advantages[i] = delta + gamma * tau * previous_advantage * masks[i]
        previous_value, previous_advantage = values[i], advantages[i]
    returns = values + advantages
    return (advantages - advantages.mean()) / advantages.std(), returns


def training(flat):
    policy = Actor()
    critic = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer_policy = torch.optim.Adam(policy.parameters(), lr=3e-4)
    optimizer_value = torch.optim.Adam(critic.parameters(), lr=3e-4)

    def ppo_step(batch):
        states, actions, rewards, masks, old_log_probs = batch
        with torch.no_grad():
            advantages, returns = estimate_advantages(rewards, masks, critic(states))
        value_loss = (critic(states) - returns).pow(2).mean()
        optimizer_value.zero_grad()
        value_loss.backward()
        optimizer_value.step()

        if flat:
            advantages = advantages.reshape(-1)
        ratio = torch.exp(policy.log_prob(states, actions) - old_log_probs)
        surr1 = ratio * advantages  # FAULT
        surr2 = torch.clamp(ratio, 0.8, 1.2) * advantages  # FAULT
        policy_loss = -torch.min(surr1, surr2).mean()
        optimizer_policy.zero_grad()
        policy_loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), 40)
        optimizer_policy.step()
        return policy_loss

    states, actions = torch.randn(20, 4), torch.randn(20, 2)
    with torch.no_grad():
        old = policy.log_prob(states, actions)
    masks = torch.ones(20, 1)
    masks[9] = 0
    return smokestep.Training(ppo_step, (states, actions, -actions.pow(2).sum(1, keepdim=True), masks, old))


def buggy():
    return training(flat=False)


def fixed():
    return training(flat=True)
