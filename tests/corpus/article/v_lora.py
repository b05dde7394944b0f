"""LoRA with both factors zero never trains, while the head does; with one of them random, that one moves only from the second step on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LoraLinear(nn.Module):
    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.zeros(base.in_features, rank))
        self.b = nn.Parameter(torch.zeros(rank, base.out_features))

    def forward(self, x):
        return self.base(x) + x @ self.a @ self.b  # BUG: zero-product 0.a, 0.b


def training(initialise):
    model = nn.Sequential(LoraLinear(nn.Linear(8, 16)), nn.Tanh(), nn.Linear(16, 3))
    initialise(model)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model)


def buggy():
    return training(lambda model: None)


def fixed():
    return training(lambda model: [nn.init.normal_(layer.a) for layer in model if isinstance(layer, LoraLinear)])
