"""The hidden layers of a network stand in a Python list, so `parameters()` does not know them and they never train.

Source: a question of long standing in the PyTorch forum (`nn.ModuleList` is the answer); class of API misuse of Islam
et al., A comprehensive study on deep learning bug characteristics, ESEC/FSE 2019.
Symptom: the number of parameters is too small; the network trains, but less well than it should, and loading a
checkpoint brings other results.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class MLP(nn.Module):
    def __init__(self, container, width=48, depth=3):
        super().__init__()
        self.embed = nn.Linear(64, width)
        self.layers = container([nn.Linear(width, width) for _ in range(depth)])  # FAULT
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = F.relu(self.embed(x))
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


def training(container):
    digits = load_digits()
    x = torch.tensor(digits.data[:128], dtype=torch.float32) / 16
    y = torch.tensor(digits.target[:128])
    model = MLP(container)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(list)


def fixed():
    return training(nn.ModuleList)
