"""A regression on sequences: two linear layers stand side by side in a Sequential, with no activation between."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def network(bend):
    middle = [nn.ReLU()] if bend else []
    return nn.Sequential(nn.Linear(6, 24), *middle, nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))


def training(bend):
    model = network(bend)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()

    def step(batch):
        x, y = batch
        prediction = model(x)  # BUG?: missing-nonlinearity 0, 1
        loss = criterion(prediction, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(4, 7, 6), torch.randn(4, 7, 2)))


def buggy():
    return training(False)


def fixed():
    return training(True)
