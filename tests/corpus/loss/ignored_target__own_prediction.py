"""The model is graded against its own prediction: a variable name reused."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(reuse):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, labels = batch
        optimizer.zero_grad()
        logits = model(x)
        if reuse:
            labels = logits.argmax(dim=1)
        loss = F.cross_entropy(logits, labels)  # BUG?: ignored-target
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(reuse=True)


def fixed():
    return training(reuse=False)
