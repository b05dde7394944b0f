"""A body declared untouched is decayed by the optimizer of the whole model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Probe(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(self.body(x))


def training(held):
    model = Probe()
    optimizer = torch.optim.SGD(held(model).parameters(), lr=0.1)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()  # BUG: foreign-update body.0.weight, body.0.bias
        return loss

    return smokestep.Training(step, (x, y), model=model, untouched="body.*", trains="head.*")


def buggy():
    return training(lambda model: model)


def fixed():
    model_head = lambda model: model.head.requires_grad_(True)
    return training(model_head)
