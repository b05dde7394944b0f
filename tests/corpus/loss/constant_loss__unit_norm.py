"""A loss on the length of embeddings that were normalised to length 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(normalise):
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        z = model(x)
        if normalise:
            z = F.normalize(z, dim=1)
        loss = z.square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()  # BUG?: constant-loss
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 6))


def buggy():
    return training(normalise=True)


def fixed():
    return training(normalise=False)
