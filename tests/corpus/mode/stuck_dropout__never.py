"""Dropout that was switched off to debug, and stayed off."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, debug):
        super().__init__()
        self.debug = debug
        self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x):
        h = F.relu(self.first(x))
        if self.debug:
            h = F.dropout(h, 0.3, training=False)  # BUG?: stuck-dropout
        else:
            h = F.dropout(h, 0.3, training=self.training)
        return self.last(h)


def training(debug):
    model = Net(debug)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(True)


def fixed():
    return training(False)
