"""The first synchronisation asks for τ = 1, and the function uses the agent's small τ: the target starts from other
weights.

Source: mimoralea/gdrl pull request #14 (2021), "dynamic tau parameter fixed in update_networks fn": `self.tau` in
place of `tau`.
Symptom: the targets come from unrelated random networks for hundreds of updates.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def fcq(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


class DDPG:
    def __init__(self, tau=0.005, gamma=0.99):
        self.online_value_model, self.target_value_model = fcq(3 + 1, 1), fcq(3 + 1, 1)
        self.online_policy_model, self.target_policy_model = (
            nn.Sequential(fcq(3, 1), nn.Tanh()),
            nn.Sequential(fcq(3, 1), nn.Tanh()),
        )
        self.tau, self.gamma = tau, gamma
        self.update_networks(tau=1.0)
        self.value_optimizer = torch.optim.Adam(self.online_value_model.parameters(), lr=3e-4)
        self.policy_optimizer = torch.optim.Adam(self.online_policy_model.parameters(), lr=3e-4)

    def rate(self, tau):
        return self.tau  # FAULT

    def update_networks(self, tau=None):
        tau = self.rate(self.tau if tau is None else tau)
        pairs = (
            (self.target_value_model, self.online_value_model),
            (self.target_policy_model, self.online_policy_model),
        )
        for target_model, online_model in pairs:
            for target, online in zip(target_model.parameters(), online_model.parameters(), strict=True):
                target.data.copy_((1.0 - tau) * target.data + tau * online.data)

    def optimize_model(self, experiences):
        states, actions, rewards, next_states, is_terminals = experiences
        argmax_a_q_sp = self.target_policy_model(next_states)
        max_a_q_sp = self.target_value_model(torch.cat([next_states, argmax_a_q_sp], dim=1))
        target_q_sa = rewards + self.gamma * max_a_q_sp * (1 - is_terminals)
        td_error = self.online_value_model(torch.cat([states, actions], dim=1)) - target_q_sa.detach()
        value_loss = td_error.pow(2).mul(0.5).mean()
        self.value_optimizer.zero_grad()
        value_loss.backward()
        self.value_optimizer.step()

        max_a_q_s = self.online_value_model(torch.cat([states, self.online_policy_model(states)], dim=1))
        policy_loss = -max_a_q_s.mean()
        self.policy_optimizer.zero_grad()
        policy_loss.backward()
        self.policy_optimizer.step()
        self.update_networks()
        return value_loss


class GivenTau(DDPG):
    def rate(self, tau):
        return tau


def training(agent):
    states = torch.randn(32, 3)
    terminals = (torch.rand(32, 1) < 0.1).float()
    batch = (states, torch.rand(32, 1) * 2 - 1, -states[:, :1].abs(), states * 0.95, terminals)
    return smokestep.Training(agent.optimize_model, batch)


def buggy():
    return training(DDPG())


def fixed():
    return training(GivenTau())
