"""A data set reads the row of its cursor, and never moves it: each sample is the first, with a label of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import smokestep


class Readings(Dataset):
    def __init__(self, moves):
        self.rows, self.cursor, self.moves = torch.randn(60, 7), 0, moves

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if self.moves:
            self.cursor = index
        return self.rows[self.cursor], index % 3


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, readings):
        return self.layers(readings)


def training(moves):
    loader = DataLoader(Readings(moves), batch_size=12, shuffle=True)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        readings, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(readings), labels)  # BUG?: constant-input
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, next(iter(loader)))


def buggy():
    return training(False)


def fixed():
    return training(True)
