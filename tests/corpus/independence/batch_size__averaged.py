"""Logits divided by the number of samples, so that the answer for one depends on how many there are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Voting(nn.Module):
    def __init__(self, shared):
        super().__init__()
        self.shared = shared
        self.experts = nn.ModuleList(nn.Linear(6, 3) for _ in range(4))

    def forward(self, x):  # BUG?: batch-size
        votes = sum(expert(x) for expert in self.experts)
        return votes / (len(x) if self.shared else len(self.experts))


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Voting(True), (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def fixed():
    return training(Voting(False), (torch.randn(8, 6), torch.randint(0, 3, (8,))))
