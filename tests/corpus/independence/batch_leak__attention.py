"""Self-attention that was left to its default, time first, and is given the batch first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Reader(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.embed = nn.Linear(5, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = self.embed(x)
        mixed, _ = self.attention(h, h, h)  # BUG?: batch-leak
        return self.head((h + mixed).mean(1))


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Reader(False), (torch.randn(8, 6, 5), torch.randint(0, 3, (8,))))


def fixed():
    return training(Reader(True), (torch.randn(8, 6, 5), torch.randint(0, 3, (8,))))
