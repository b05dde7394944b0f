"""A conv net that returns probabilities, trained with `F.cross_entropy`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, 5)

    def features(self, x):
        return self.fc(F.relu(self.conv(x)).flatten(1))


class Probabilities(Net):
    def forward(self, x):
        return F.softmax(self.features(x), dim=1)  # BUG: double-softmax


class Logits(Net):
    def forward(self, x):
        return self.features(x)


def training(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = torch.randn(8, 1, 8, 8), torch.randint(0, 5, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Probabilities())


def fixed():
    return training(Logits())
