"""A data set adds noise from a generator that it makes when it is built, and two workers each get a copy of it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Signals(torch.utils.data.Dataset):
    def __init__(self):
        self.signals = np.random.randn(64, 10).astype("float32")
        self.rng = np.random.default_rng(0)  # BUG?: repeated-augmentation Signals.rng

    def generator(self):
        return self.rng

    def __len__(self):
        return len(self.signals)

    def __getitem__(self, index):
        noise = self.generator().normal(0, 0.1, 10).astype("float32")
        return torch.from_numpy(self.signals[index] + noise), torch.tensor(index % 2)


class PerWorker(Signals):
    def __init__(self):
        super().__init__()
        self.rng = None

    def generator(self):
        if self.rng is None:
            self.rng = np.random.default_rng(torch.initial_seed())
        return self.rng


class Trainer:
    def __init__(self, data):
        self.model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True, num_workers=2)

    def step(self, batch):
        signals, labels = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(signals), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def fit(self, epochs):
        for _ in range(epochs):
            for batch in self.loader:
                self.step(batch)


def training(data):
    return smokestep.Training(Trainer(data).step, (torch.randn(4, 10), torch.randint(0, 2, (4,))))


def buggy():
    return training(Signals())


def fixed():
    return training(PerWorker())
