"""The classifier is replaced for fine-tuning after the optimizer was built."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(model, optimizer):
    x, y = torch.randn(8, 6), torch.randint(0, 4, (8,))
    criterion = nn.CrossEntropyLoss()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model, optimizer=optimizer)


def pretrained():
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4))


def buggy():
    model = pretrained()
    optimizer = torch.optim.Adam(model.parameters())  # BUG: stale-optimizer 2.weight, 2.bias
    model[2] = nn.Linear(12, 4)
    return training(model, optimizer)


def fixed():
    model = pretrained()
    model[2] = nn.Linear(12, 4)
    optimizer = torch.optim.Adam(model.parameters())
    return training(model, optimizer)
