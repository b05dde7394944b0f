"""The embedding is computed under `no_grad`, as in the evaluation code it was copied from."""

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


class NoGrad(Net):
    def forward(self, x):
        with torch.no_grad():
            features = torch.relu(self.encoder(x))  # BUG: gradient-cut encoder.weight, encoder.bias
        return self.head(features)


class Grad(Net):
    def forward(self, x):
        features = torch.relu(self.encoder(x))
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
    return training(NoGrad())


def fixed():
    return training(Grad())
