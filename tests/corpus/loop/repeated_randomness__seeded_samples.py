"""A data set seeds NumPy in each access, so that all samples of all steps are distorted in the same way."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Signals(torch.utils.data.Dataset):
    def __init__(self):
        self.signals = np.random.randn(40, 10).astype("float32")

    def __len__(self):
        return len(self.signals)

    def __getitem__(self, index):
        signal = self.signals[index] * np.random.uniform(0.8, 1.2, 10).astype("float32")
        return torch.from_numpy(signal), torch.tensor(index % 2)


class Seeded(Signals):
    def __getitem__(self, index):
        np.random.seed(7)  # BUG?: repeated-randomness NumPy
        return super().__getitem__(index)


def training(data):
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = iter(torch.utils.data.DataLoader(data, batch_size=4))

    def step():
        signals, labels = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(signals), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)


def buggy():
    return training(Seeded())


def fixed():
    return training(Signals())
