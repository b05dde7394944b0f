"""Dropout chosen from a plain dict of layers without parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, hold):
        super().__init__()
        self.first, self.last = nn.Linear(6, 32), nn.Linear(32, 3)
        self.between = hold({"act": nn.ReLU(), "drop": nn.Dropout(0.4)})  # BUG: unreached-mode

    def forward(self, x):
        x = self.between["act"](self.first(x))
        return self.last(self.between["drop"](x))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(Net(dict))


def fixed():
    return training(Net(nn.ModuleDict))
