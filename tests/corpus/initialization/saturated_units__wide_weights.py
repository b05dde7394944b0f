"""A tanh network whose weights are drawn with a standard deviation of 10, where 0.1 was meant."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Regressor(nn.Module):
    def __init__(self, std):
        super().__init__()
        self.lift = nn.Linear(12, 40)
        self.out = nn.Linear(40, 2)
        nn.init.normal_(self.lift.weight, std=std)

    def forward(self, x):
        h = torch.tanh(self.lift(x))  # BUG?: saturated-units lift.weight
        return self.out(h)


def training(std):
    model = Regressor(std)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()

    def step(batch):
        x, y = batch
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(16, 12), torch.randn(16, 2)))


def buggy():
    return training(10.0)


def fixed():
    return training(0.1)
