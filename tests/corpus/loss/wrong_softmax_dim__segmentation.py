"""A per-pixel `LogSoftmax` over the rows of the image instead of over its classes."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(dim):
    model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.LogSoftmax(dim=dim))
    criterion = nn.NLLLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    image, mask = torch.randn(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8))

    def step(batch):
        image, mask = batch
        optimizer.zero_grad()
        loss = criterion(model(image), mask)  # BUG: wrong-softmax-dim
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (image, mask))


def buggy():
    return training(dim=2)


def fixed():
    return training(dim=1)
