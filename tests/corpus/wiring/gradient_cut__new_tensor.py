"""Hidden features are wrapped in `torch.tensor` again, which copies them out of the graph."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 12)
        self.head = nn.Linear(12, 3)


class Copied(Net):
    def forward(self, x):
        features = self.encoder(x).tanh()
        features = torch.tensor(features)  # BUG: gradient-cut encoder.weight, encoder.bias
        return self.head(features)


class Kept(Net):
    def forward(self, x):
        features = self.encoder(x).tanh()
        return self.head(features)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Copied())


def fixed():
    return training(Kept())
