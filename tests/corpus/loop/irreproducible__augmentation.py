"""An augmentation with a generator of its own that nobody seeds."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Jitter:
    def __init__(self, scale, seed=None):
        self.scale = scale
        if seed is None:
            self.random = np.random.default_rng()  # BUG?: irreproducible
        else:
            self.random = np.random.default_rng(seed)

    def __call__(self, x):
        return x + self.scale * torch.as_tensor(self.random.normal(size=tuple(x.shape)), dtype=x.dtype)


def jittered(jitter):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(jitter(x)), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return jittered(Jitter(0.1))


def fixed():
    return jittered(Jitter(0.1, seed=0))
