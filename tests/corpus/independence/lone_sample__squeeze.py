"""Pooled features squeezed without saying which dimension."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self, squeeze):
        super().__init__()
        self.squeeze = squeeze
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        h = self.features(x)
        h = h.squeeze() if self.squeeze else h.flatten(1)  # BUG?: lone-sample
        return self.head(h)


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Classifier(True), (torch.randn(8, 3, 8, 8), torch.randint(0, 4, (8,))))


def fixed():
    return training(Classifier(False), (torch.randn(8, 3, 8, 8), torch.randint(0, 4, (8,))))
