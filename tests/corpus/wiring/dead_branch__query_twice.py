"""Attention whose scores multiply the queries with themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Attention(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.embed = nn.Linear(6, width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.head = nn.Linear(width, 3)

    def attend(self, q, k, v):
        return torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1) @ v


class QueryTwice(Attention):
    def forward(self, x):
        x = self.embed(x)
        q = self.query(x)
        k = self.key(x)  # BUG: dead-branch key.weight, key.bias
        v = self.value(x)
        return self.head(self.attend(q, q, v).mean(dim=1))


class QueryKey(Attention):
    def __init__(self):
        super().__init__()
        self.key = nn.Linear(8, 8, bias=False)

    def forward(self, x):
        x = self.embed(x)
        q, k, v = self.query(x), self.key(x), self.value(x)
        return self.head(self.attend(q, k, v).mean(dim=1))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 5, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(QueryTwice())


def fixed():
    return training(QueryKey())
