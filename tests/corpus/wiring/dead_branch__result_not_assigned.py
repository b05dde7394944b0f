"""Functional style: the normalized features are not assigned, so the head reads the ones before."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)


class Forgetful(Encoder):
    def forward(self, x):
        x = self.project(x)
        self.norm(x)  # BUG: dead-branch norm.weight, norm.bias
        return self.head(F.gelu(x))


class Assigned(Encoder):
    def forward(self, x):
        x = self.project(x)
        x = self.norm(x)
        return self.head(F.gelu(x))


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 8), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Forgetful())


def fixed():
    return training(Assigned())
