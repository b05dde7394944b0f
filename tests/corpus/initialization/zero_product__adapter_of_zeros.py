"""Low-rank adapters around frozen layers; both factors are filled with zeros."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LoRALinear(nn.Module):
    def __init__(self, base, rank, zero_down):
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)
        if zero_down:
            nn.init.zeros_(self.down.weight)
        for p in self.base.parameters():
            p.requires_grad_(False)

    def forward(self, x):
        low = self.down(x)
        return self.base(x) + self.up(low)  # BUG: zero-product 0.*


def training(zero_down):
    model = nn.Sequential(LoRALinear(nn.Linear(16, 32), 4, zero_down), nn.GELU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return smokestep.Training(step, (torch.randn(8, 16), torch.randint(0, 3, (8,))))


def buggy():
    return training(True)


def fixed():
    return training(False)
