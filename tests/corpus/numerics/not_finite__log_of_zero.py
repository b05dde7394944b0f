"""The logarithm of a probability that is exactly 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def entropy(p, eps):
    return -(p * torch.log(p + eps)).sum(dim=1).mean()  # BUG: not-finite


def training(eps):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        logits = model(x)
        loss = F.cross_entropy(logits, y) - 0.01 * entropy(torch.relu(logits), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(eps=0.0)


def fixed():
    return training(eps=1e-6)
