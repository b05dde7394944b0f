"""Stochastic depth by hand: the mask is drawn whatever the mode."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def drop_path(x, p, training):
    if p == 0.0 or not training:
        return x
    keep = 1.0 - p
    mask = torch.rand((x.shape[0],) + (1,) * (x.dim() - 1), device=x.device) < keep  # BUG?: random-evaluation
    return x.div(keep) * mask


class Block(nn.Module):
    def __init__(self, width, p, ask):
        super().__init__()
        self.norm, self.fc, self.p, self.ask = nn.LayerNorm(width), nn.Linear(width, width), p, ask

    def forward(self, x):
        return x + drop_path(F.gelu(self.fc(self.norm(x))), self.p, self.training if self.ask else True)


def net(ask):
    return nn.Sequential(nn.Linear(6, 16), Block(16, 0.3, ask), nn.Linear(16, 3))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(net(ask=False))


def fixed():
    return training(net(ask=True))
