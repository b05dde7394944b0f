"""A table with ages, incomes and rates, columns joined as they are, goes into a network for default risk."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Risk(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 16)
        self.outer = nn.Linear(16, 1)

    def forward(self, age, income, rate):
        row = torch.stack([age, income, rate], dim=1)
        h = self.inner(row)  # BUG?: unscaled-input inner.weight
        return self.outer(F.gelu(h)).squeeze(1)


def training(standardise):
    model = Risk()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    age, income, rate = 20 + 60 * torch.rand(32), 20_000 + 80_000 * torch.rand(32), torch.rand(32)
    if standardise:
        age, income, rate = ((each - each.mean()) / each.std() for each in (age, income, rate))
    defaulted = (torch.rand(32) < 0.3).float()

    def step():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(age, income, rate), defaulted)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(False)


def fixed():
    return training(True)
