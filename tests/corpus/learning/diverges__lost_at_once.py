"""The squared errors of a batch are added up, and after three steps the loss is no number any more."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(reduction):
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    criterion = nn.MSELoss(reduction=reduction)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    x = torch.randn(128, 10)

    def step(batch):
        features, target = batch
        optimizer.zero_grad()
        loss = criterion(net(features), target)  # BUG?: diverges
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, x[:, :1] - x[:, 1:2] + 0.1 * torch.randn(128, 1)))


def buggy():
    return training("sum")


def fixed():
    return training("mean")
