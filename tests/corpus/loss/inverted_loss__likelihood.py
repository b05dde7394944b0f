"""The log-likelihood of a distribution is minimised."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Normal

import smokestep


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 20), nn.SiLU(), nn.Linear(20, 2))

    def forward(self, x):
        return self.body(x)


def training(sign):
    model = Regressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        likelihood = Normal(model(x), 0.5).log_prob(y).sum(1)
        loss = sign * likelihood.mean()  # BUG?: inverted-loss
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(9, 3), torch.randn(9, 2)))


def buggy():
    return training(sign=1)


def fixed():
    return training(sign=-1)
