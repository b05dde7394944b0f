"""A tagger of tokens is a transformer encoder without positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self, positions, vocabulary=60, width=16, tags=5):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(32, width)) if positions else None
        layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, tags)

    def forward(self, ids):
        x = self.embed(ids) * 4  # BUG?: order-blind
        if self.positions is not None:
            x = x + self.positions[: ids.size(1)]
        return self.head(self.encoder(x))


def training(positions):
    model = Tagger(positions)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)

    def step(batch):
        ids, tags = batch
        loss = F.cross_entropy(model(ids).flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 60, (6, 11)), torch.randint(0, 5, (6, 11))))


def buggy():
    return training(positions=False)


def fixed():
    return training(positions=True)
