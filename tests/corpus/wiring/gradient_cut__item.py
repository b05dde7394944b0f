"""A learned temperature is read with `.item()`: a Python number carries no gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Temperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 3)
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        temperature = self.log_temperature.exp().item()  # BUG: gradient-cut log_temperature
        return self.body(x) / temperature


class Differentiable(Temperature):
    def forward(self, x):
        return self.body(x) / self.log_temperature.exp()


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Temperature())


def fixed():
    return training(Differentiable())
