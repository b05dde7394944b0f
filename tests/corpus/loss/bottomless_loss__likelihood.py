"""A regression that learns its own noise: the logarithm of the scale is subtracted instead of added."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
        self.mean, self.log_scale = nn.Linear(32, 1), nn.Linear(32, 1)

    def forward(self, x):
        hidden = self.body(x)
        return self.mean(hidden).squeeze(1), self.log_scale(hidden).squeeze(1)


def wrong(y, mean, log_scale):
    return (0.5 * ((y - mean) / log_scale.exp()) ** 2 - log_scale).mean()  # BUG?: bottomless-loss


def right(y, mean, log_scale):
    return (0.5 * ((y - mean) / log_scale.exp()) ** 2 + log_scale).mean()


def training(likelihood):
    model = Noisy()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = likelihood(y, *model(x))
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(10, 4), torch.randn(10)))


def buggy():
    return training(wrong)


def fixed():
    return training(right)
