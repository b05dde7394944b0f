"""A fixed random projection, registered as a buffer that is not saved."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Projected(nn.Module):
    def __init__(self, persistent):
        super().__init__()
        matrix = torch.empty(6, 6)
        nn.init.orthogonal_(matrix)  # BUG: lost-state layers.0.matrix
        self.register_buffer("matrix", matrix, persistent=persistent)

    def forward(self, x):
        return x @ self.matrix


class Net(nn.Module):
    def __init__(self, persistent):
        super().__init__()
        self.layers = nn.Sequential(Projected(persistent), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))

    def forward(self, x):
        return self.layers(x)


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
    return training(Net(persistent=False))


def fixed():
    return training(Net(persistent=True))
