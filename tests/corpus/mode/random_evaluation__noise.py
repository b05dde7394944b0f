"""Noise against overfitting, added to the features in evaluation as well."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Regularised(nn.Module):
    def __init__(self, sigma=0.1, always=True):
        super().__init__()
        self.sigma, self.always = sigma, always
        self.encoder = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        features = self.encoder(x)
        if self.always or self.training:
            features = features + self.sigma * torch.randn_like(features)  # BUG?: random-evaluation
        return self.head(features)


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
    return training(Regularised())


def fixed():
    return training(Regularised(always=False))
