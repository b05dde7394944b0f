"""Ten layers of sigmoids, as they were built before rectified units."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class DeepNet(nn.Module):
    def __init__(self, depth, activation):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(20, 20) for _ in range(depth))
        self.out = nn.Linear(20, 4)
        self.activation = activation
        for layer in self.layers:
            if activation is F.relu:
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))  # BUG?: vanishing-gradient layers.0.weight
        return self.out(x)


def training(activation):
    model = DeepNet(10, activation)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(16, 20), torch.randint(0, 4, (16,))))


def buggy():
    return training(torch.sigmoid)


def fixed():
    return training(F.relu)
