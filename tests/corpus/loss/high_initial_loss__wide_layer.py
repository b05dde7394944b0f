"""The weights were drawn by hand from the unit normal distribution, and not scaled by the width."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class MLP(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.embed = nn.Parameter(torch.randn(27, 10))
        self.w1 = nn.Parameter(torch.randn(30, 100) * (5 / 3) / 30**0.5)
        self.w2 = nn.Parameter(torch.randn(100, 27) * scale)

    def forward(self, ids):
        hidden = torch.tanh(self.embed[ids].flatten(1) @ self.w1)
        return hidden @ self.w2


def training(scale):
    model = MLP(scale)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        ids, following = batch
        loss = F.cross_entropy(model(ids), following)  # BUG?: high-initial-loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 27, (32, 3)), torch.randint(0, 27, (32,))))


def buggy():
    return training(1.0)


def fixed():
    return training(0.01)
