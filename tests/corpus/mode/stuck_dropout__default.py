"""`F.dropout(x)` without `training`: it drops in evaluation too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(16, 3)


class Stuck(Net):
    def forward(self, x):
        x = F.dropout(torch.relu(self.fc1(x)))  # BUG?: stuck-dropout
        return self.fc2(x)


class Switched(Net):
    def forward(self, x):
        x = F.dropout(torch.relu(self.fc1(x)), training=self.training)
        return self.fc2(x)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
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
    return training(Stuck())


def fixed():
    return training(Switched())
