"""A sentence classifier whose attention heads normalise over the queries."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Heads(nn.Module):
    def __init__(self, width, heads, axis):
        super().__init__()
        self.heads, self.axis = heads, axis
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (each.view(B, T, self.heads, -1).transpose(1, 2) for each in self.qkv(x).chunk(3, dim=-1))
        weights = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))
        weights = F.dropout(F.softmax(weights, dim=self.axis), 0.1, self.training)  # BUG?: attention-softmax
        return self.out(torch.matmul(weights, v).transpose(1, 2).reshape(B, T, C))


class Classifier(nn.Module):
    def __init__(self, axis):
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.positions = nn.Parameter(0.1 * torch.randn(12, 16))
        self.attend, self.norm, self.head = Heads(16, 2, axis), nn.LayerNorm(16), nn.Linear(16, 2)

    def forward(self, ids):
        x = self.embed(ids) + self.positions[: ids.size(1)]
        x = self.norm(x + self.attend(x))
        return self.head(x.mean(dim=1))


def training(axis):
    model = Classifier(axis)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    def step(batch):
        ids, labels = batch
        loss = F.cross_entropy(model(ids), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 40, (8, 10)), torch.randint(0, 2, (8,))))


def buggy():
    return training(axis=-2)


def fixed():
    return training(axis=-1)
