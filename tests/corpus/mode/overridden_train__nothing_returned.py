"""Normalization frozen in `train`, which gives nothing back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.head = nn.Linear(16, 3)
        self.body(torch.randn(32, 6))
        self.body[1].requires_grad_(False)

    def forward(self, x):
        return self.head(self.body(x))

    def freeze(self):
        self.body[1].eval()


class Silent(Backbone):
    def train(self, mode=True):  # BUG?: overridden-train
        super().train(mode)
        self.freeze()


class Chained(Backbone):
    def train(self, mode=True):
        super().train(mode)
        self.freeze()
        return self


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
    model = Silent()
    model.train()
    return training(model)


def fixed():
    return training(Chained().train())
