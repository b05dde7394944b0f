"""The TD target is computed by the trained network and not detached: the loss moves the prediction and its target at
once.

Source: datawhalechina/easy-rl pull request #117 (2022): "TD target does not have detach(), which is equivalent to not
using semi-gradient method", with `policy_net` and `target_net` the same network. Class "wrong update rule" of
DRLinter.
Symptom: learning is slower or unstable, without any error.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class DoubleDQN:
    def __init__(self, detach):
        self.detach = detach
        self.policy_net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.optimizer = torch.optim.Adam(self.policy_net.parameters(), lr=1e-3)
        self.gamma = 0.95

    def update(self, memory):
        state, action, reward, next_state, done = memory
        q_values = self.policy_net(state).gather(1, action)
        next_q_value = self.policy_net(next_state).max(1, keepdim=True).values
        if self.detach:
            next_q_value = next_q_value.detach()
        q_target = reward + self.gamma * next_q_value * (1 - done)
        loss = nn.MSELoss()(q_values, q_target)  # FAULT
        self.optimizer.zero_grad()
        loss.backward()
        for param in self.policy_net.parameters():
            param.grad.data.clamp_(-1, 1)
        self.optimizer.step()
        return loss.item()


def training(detach):
    agent = DoubleDQN(detach)
    state = torch.randn(32, 4)
    memory = (state, torch.randint(0, 2, (32, 1)), torch.ones(32, 1), state * 1.1, (torch.rand(32, 1) < 0.1).float())
    return smokestep.Training(agent.update, memory)


def buggy():
    return training(detach=False)


def fixed():
    return training(detach=True)
