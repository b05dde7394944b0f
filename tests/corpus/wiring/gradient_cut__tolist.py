"""Attention scores make a detour over a Python list to be masked by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(6, 1, bias=False)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        scores = self.score(x).squeeze(-1).tolist()  # BUG: gradient-cut score.weight
        weights = torch.tensor(scores).softmax(dim=-1)
        return self.head((weights.unsqueeze(-1) * x).sum(dim=1))


class TensorPool(Pool):
    def forward(self, x):
        weights = self.score(x).squeeze(-1).softmax(dim=-1)
        return self.head((weights.unsqueeze(-1) * x).sum(dim=1))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 4, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Pool())


def fixed():
    return training(TensorPool())
