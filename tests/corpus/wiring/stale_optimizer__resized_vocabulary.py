"""Two tokens are added to the vocabulary after the optimizer was built, which goes on with the old table."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self, vocabulary=20, width=12):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, 4)

    def resize(self, vocabulary):
        larger = nn.Embedding(vocabulary, self.embed.embedding_dim)
        with torch.no_grad():
            larger.weight[: self.embed.num_embeddings] = self.embed.weight
        self.embed = larger

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids))[0])


def fit(model, optimizer):
    def step(batch):
        ids, tags = batch
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(ids).flatten(0, 1), tags.flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randint(0, 22, (4, 7)), torch.randint(0, 4, (4, 7))))


def buggy():
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)  # BUG: stale-optimizer embed.weight
    model.resize(22)
    return fit(model, optimizer)


def fixed():
    model = Tagger()
    model.resize(22)
    return fit(model, torch.optim.Adam(model.parameters(), lr=3e-3))
