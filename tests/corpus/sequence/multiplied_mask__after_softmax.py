"""Attention over the neighbours in an image's grid: the weights of the others are set to 0 after the softmax."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

SIDE = 4


def neighbours():
    at = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"), -1).flatten(0, 1)
    return (at[:, None] - at[None]).abs().amax(-1) <= 1


def local_attention(q, k, v, near):
    weights = F.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)
    weights = weights * near  # BUG?: multiplied-mask
    return weights @ v


def excluding_attention(q, k, v, near):
    scores = (q @ k.mT / q.shape[-1] ** 0.5).where(near, -torch.inf)
    return scores.softmax(-1) @ v


class Local(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention
        self.patches = nn.Conv2d(1, 16, 4, stride=4)
        self.register_buffer("near", neighbours())
        self.qkv, self.head = nn.Linear(16, 48), nn.Linear(16 * SIDE * SIDE, 10)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).mT
        tokens = tokens + self.attention(*self.qkv(tokens).chunk(3, -1), self.near)
        return self.head(tokens.flatten(1))


def training(attention):
    model = Local(attention)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.rand(6, 1, 16, 16), torch.randint(0, 10, (6,))))


def buggy():
    return training(local_attention)


def fixed():
    return training(excluding_attention)
