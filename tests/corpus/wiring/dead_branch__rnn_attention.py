"""A classifier reads the last hidden state, and drops the attention over all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.rnn = nn.GRU(6, 8, batch_first=True)
        self.attention = nn.Linear(8, 1, bias=False)
        self.head = nn.Linear(8, 3)


class LastState(Reader):
    def forward(self, ids):
        states, last = self.rnn(self.embed(ids))
        weights = self.attention(states).softmax(dim=1)
        pooled = (weights * states).sum(dim=1)  # BUG: dead-branch attention.weight
        return self.head(last[0])


class Pooled(Reader):
    def forward(self, ids):
        states, last = self.rnn(self.embed(ids))
        weights = self.attention(states).softmax(dim=1)
        pooled = (weights * states).sum(dim=1)
        return self.head(pooled)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randint(0, 20, (8, 5)), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(LastState())


def fixed():
    return training(Pooled())
