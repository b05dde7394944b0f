"""A token tagger with one output per token under cross-entropy over it."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self, tags):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.tag = nn.Linear(8, tags)

    def forward(self, ids):
        return self.tag(self.rnn(self.embed(ids))[0])


def training(model, tags):
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    ids = torch.randint(0, 20, (4, 5))

    def step(batch):
        ids, tags = batch
        optimizer.zero_grad()
        loss = criterion(model(ids).flatten(0, 1), tags.flatten())  # BUG: single-logit
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, tags))


def buggy():
    return training(Tagger(1), torch.zeros(4, 5, dtype=torch.long))


def fixed():
    return training(Tagger(2), torch.randint(0, 2, (4, 5)))
