"""Two critics are fitted to one target, on one line; the second one keeps its last dimension."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, observation, action):
        return self.net(torch.cat([observation, action], dim=1))


def batch():
    return torch.randn(14, 3), torch.randn(14, 2), torch.randn(14)


def buggy() -> smokestep.Training:
    first, second = Critic(), Critic()
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=3e-4)

    def step(data):
        observation, action, returns = data
        loss = F.mse_loss(first(observation, action).squeeze(1), returns) + F.mse_loss(second(observation, action), returns)  # fmt: skip  # BUG: broadcast-loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, batch())


def fixed() -> smokestep.Training:
    first, second = Critic(), Critic()
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=3e-4)

    def step(data):
        observation, action, returns = data
        q1, q2 = first(observation, action).squeeze(1), second(observation, action).squeeze(1)
        loss = F.mse_loss(q1, returns) + F.mse_loss(q2, returns)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, batch())
