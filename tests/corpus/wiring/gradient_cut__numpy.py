"""A filter written with NumPy in the middle of the network."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 12)
        self.head = nn.Linear(12, 3)


def smooth(values):
    padded = np.pad(values, ((0, 0), (1, 1)), mode="edge")
    return (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3


class NumpySmooth(Net):
    def forward(self, x):
        features = self.encoder(x)
        features = torch.from_numpy(smooth(features.detach().numpy()))  # BUG: gradient-cut encoder.weight, encoder.bias
        return self.head(features)


class TorchSmooth(Net):
    def forward(self, x):
        features = F.pad(self.encoder(x).unsqueeze(1), (1, 1), mode="replicate")
        return self.head(F.avg_pool1d(features, 3, stride=1).squeeze(1))


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
    return training(NumpySmooth())


def fixed():
    return training(TorchSmooth())
