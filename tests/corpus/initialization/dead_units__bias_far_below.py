"""Sparse features by a bias far below zero: almost no unit of the hidden layer is ever on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class SparseNet(nn.Module):
    def __init__(self, low):
        super().__init__()
        self.encode = nn.Linear(10, 80)
        self.head = nn.Linear(80, 4)
        nn.init.uniform_(self.encode.bias, low, 0.5)

    def forward(self, x):
        code = F.relu(self.encode(x))  # BUG?: dead-units encode.weight
        return self.head(code)


def training(low):
    net = SparseNet(low)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randn(24, 10), torch.randint(0, 4, (24,))))


def buggy():
    return training(-60.0)


def fixed():
    return training(-0.5)
