"""A model with a method of its own that is called `train`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))

    def forward(self, x):
        return self.net(x)


class Own(Classifier):
    def train(self, loader, epochs=10):  # BUG?: overridden-train
        optimizer = torch.optim.Adam(self.parameters())
        for _ in range(epochs):
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(self(x), y).backward()
                optimizer.step()


class Fit(Classifier):
    fit = Own.train


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
    return training(Own())


def fixed():
    return training(Fit())
