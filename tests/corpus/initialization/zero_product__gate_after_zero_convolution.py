"""A control branch that ends in a zero convolution and is scaled by a gate that begins at zero as well."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Controlled(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.control = nn.Conv2d(3, 8, 3, padding=1)
        self.zero_conv = nn.Conv2d(8, 8, 1)
        nn.init.zeros_(self.zero_conv.weight)
        nn.init.zeros_(self.zero_conv.bias)
        self.gate = nn.Parameter(torch.full((1,), gate))
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, image, hint):
        h = self.stem(image)
        extra = self.zero_conv(torch.relu(self.control(hint)))
        h = h + self.gate * extra  # BUG: zero-product gate, zero_conv.*
        return self.head(torch.relu(h))


def train(gate):
    net = Controlled(gate)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    image, hint, target = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8), torch.randn(4, 1, 8, 8)

    def step():
        optimizer.zero_grad()
        F.mse_loss(net(image, hint), target).backward()
        optimizer.step()

    return smokestep.Training(step)


def buggy():
    return train(0.0)


def fixed():
    return train(1.0)
