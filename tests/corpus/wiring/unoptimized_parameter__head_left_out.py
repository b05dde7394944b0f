"""The optimizer is built from the body's parameters, as it was before the model got a head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.body(x))


def training(model, optimizer):
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model)


def buggy():
    model = Net()
    optimizer = torch.optim.Adam(model.body.parameters())  # BUG: unoptimized-parameter head.weight, head.bias
    return training(model, optimizer)


def fixed():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    return training(model, optimizer)
