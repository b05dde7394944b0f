"""Soft labels under cross-entropy whose rows do not sum to 1: counts that were never normalised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(normalise):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, votes = torch.randn(8, 6), torch.randint(1, 9, (8, 3)).float()

    def step(batch):
        x, votes = batch
        if normalise:
            votes = votes / votes.sum(dim=1, keepdim=True)
        loss = F.cross_entropy(model(x), votes)  # BUG?: invalid-target
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, votes))


def buggy():
    return training(normalise=False)


def fixed():
    return training(normalise=True)
