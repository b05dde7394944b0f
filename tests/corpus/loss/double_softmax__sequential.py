"""A Sequential that ends in a softmax, under `CrossEntropyLoss`, which applies another one."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(*tail):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3), *tail)
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        output = model(x)  # BUG: double-softmax
        loss = criterion(output, y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(nn.Softmax(dim=1))


def fixed():
    return training()
