"""AdamW with groups for decay and none, each with the betas of a paper copied the wrong way round."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


def groups(model, betas):
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    return [
        {"params": decay, "weight_decay": 0.1, "betas": betas},
        {"params": rest, "weight_decay": 0.0, "betas": betas},
    ]


def training(betas):
    model = nn.Sequential(nn.Linear(6, 16), Block(16), Block(16), nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(groups(model, betas), lr=6e-4)  # BUG?: swapped-betas

    def step(batch):
        x, y = batch
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 6), torch.randint(0, 3, (10,))))


def buggy():
    return training((0.99, 0.9))


def fixed():
    return training((0.9, 0.95))
