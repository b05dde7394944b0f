"""A hard choice of a code by `argmax`: the scores that chose it get no gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Router(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.Linear(6, 5)
        self.codes = nn.Embedding(5, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        chosen = self.scores(x).argmax(dim=-1)  # BUG: gradient-cut scores.weight, scores.bias
        return self.head(self.codes(chosen))


class SoftRouter(Router):
    def forward(self, x):
        weights = self.scores(x).softmax(dim=-1)
        return self.head(weights @ self.codes.weight)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Router())


def fixed():
    return training(SoftRouter())
