"""In the TD target the mask is added to the next value where it should multiply it: `r + γ·mask + v` for `r +
γ·mask·v`.

Source: ikostrikov/pytorch-ddpg-naf issue #16 (2021), "Typo in the Implementation"; fixed by the author.
Symptom: the discount never touches the next value, and terminal states bootstrap; values drift.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

import smokestep


class Policy(nn.Module):
    """A normalized advantage function: Q = V - 0.5 (u - μ)ᵀ P (u - μ)."""

    def __init__(self, inputs=4, actions=2, hidden=32):
        super().__init__()
        self.actions = actions
        self.linear1, self.linear2 = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.V, self.mu, self.L = nn.Linear(hidden, 1), nn.Linear(hidden, actions), nn.Linear(hidden, actions**2)

    def forward(self, state, u=None):
        x = torch.tanh(self.linear2(torch.tanh(self.linear1(state))))
        V, mu = self.V(x), torch.tanh(self.mu(x))
        if u is None:
            return mu, None, V
        L = self.L(x).view(-1, self.actions, self.actions)
        L = torch.tril(L, -1) + torch.diag_embed(L.diagonal(dim1=1, dim2=2).exp())
        P = L @ L.transpose(1, 2)
        u_mu = (u - mu).unsqueeze(2)
        A = -0.5 * (u_mu.transpose(1, 2) @ P @ u_mu)[:, :, 0]
        return mu, A + V, V


class NAF:
    def __init__(self, gamma=0.99, tau=0.001):
        self.model = Policy()
        self.target_model = copy.deepcopy(self.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.gamma, self.tau = gamma, tau

    def expected(self, reward, mask, next_values):
        return reward + (self.gamma * mask + next_values)  # FAULT

    def update_parameters(self, batch):
        state, action, mask, next_state, reward = batch
        with torch.no_grad():
            _, _, next_state_values = self.target_model(next_state)
        expected = self.expected(reward, mask, next_state_values)
        _, state_action_values, _ = self.model(state, action)
        loss = nn.MSELoss()(state_action_values, expected)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1)
        self.optimizer.step()
        with torch.no_grad():
            for target, param in zip(self.target_model.parameters(), self.model.parameters(), strict=True):
                target.lerp_(param, self.tau)
        return loss.item()


class Multiplied(NAF):
    def expected(self, reward, mask, next_values):
        return reward + self.gamma * mask * next_values


def training(agent):
    state = torch.randn(32, 4)
    mask = (torch.rand(32, 1) > 0.2).float()
    batch = (state, torch.rand(32, 2) * 2 - 1, mask, state * 0.9, state.sum(1, keepdim=True))
    return smokestep.Training(agent.update_parameters, batch)


def buggy():
    return training(NAF())


def fixed():
    return training(Multiplied())
