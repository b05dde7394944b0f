"""The head is said to train, and was frozen together with the body."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(frozen):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))
    for layer in frozen(model):
        layer.requires_grad_(False)  # BUG: frozen-parameter 2.weight, 2.bias
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model, trains=["2.*", "4.*"])


def buggy():
    return training(lambda model: model[:-1])


def fixed():
    return training(lambda model: model[:1])
