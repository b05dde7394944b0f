"""Attention heads are merged without being moved behind the time first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Attention(nn.Module):
    def __init__(self, width=12, heads=3, back=True):
        super().__init__()
        self.heads, self.back = heads, back
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (each.view(n, t, self.heads, -1).transpose(1, 2) for each in self.qkv(x).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v)
        if self.back:
            mixed = mixed.transpose(1, 2)
        return self.out(mixed.reshape(n, t, d))  # BUG?: view-for-transpose


class Encoder(nn.Module):
    def __init__(self, back):
        super().__init__()
        self.embed = nn.Embedding(30, 12)
        self.position = nn.Parameter(0.02 * torch.randn(7, 12))
        self.attention = Attention(back=back)
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 4)

    def forward(self, ids):
        x = self.embed(ids) + self.position
        x = self.norm(x + self.attention(x))
        return self.head(x.mean(dim=1))


def training(back):
    model = Encoder(back)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        ids, labels = batch
        loss = F.cross_entropy(model(ids), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randint(0, 30, (4, 7)), torch.randint(0, 4, (4,))))


def buggy():
    return training(back=False)


def fixed():
    return training(back=True)
