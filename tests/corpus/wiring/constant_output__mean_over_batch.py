"""The features are averaged over the batch instead of over time: every sample gets the same output."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Pooled(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.body = nn.Linear(6, 12)
        self.head = nn.Linear(12, 3)
        self.dim = dim

    def forward(self, x):
        h = torch.relu(self.body(x)).mean(dim=self.dim, keepdim=True)
        h = h.expand(x.shape[0], *h.shape[1:]) if self.dim == 0 else h
        return self.head(h[:, 0])


def training(model, batch):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)  # BUG: constant-output
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


def buggy():
    return training(Pooled(dim=0), (torch.randn(8, 1, 6), torch.randint(0, 3, (8,))))


def fixed():
    return training(Pooled(dim=1), (torch.randn(8, 4, 6), torch.randint(0, 3, (8,))))
