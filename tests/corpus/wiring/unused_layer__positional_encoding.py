"""A transformer whose learned positions are built and never added."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self, vocabulary=20, length=7, width=8):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(length, width))  # BUG: unused-layer positions
        self.block = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, 4)

    def forward(self, ids):
        return self.head(self.block(self.tokens(ids)))


class Positioned(nn.Module):
    def __init__(self, vocabulary=20, length=7, width=8):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(length, width))
        self.block = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, 4)

    def forward(self, ids):
        return self.head(self.block(self.tokens(ids) + self.positions[: ids.shape[1]]))


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids, tags = torch.randint(0, 20, (4, 7)), torch.randint(0, 4, (4, 7))

    def step(batch):
        ids, tags = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids).transpose(1, 2), tags)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, tags))


def buggy():
    return training(Tagger())


def fixed():
    return training(Positioned())
