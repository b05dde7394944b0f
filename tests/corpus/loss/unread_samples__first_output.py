"""The model used to return a tuple; the index that took its first element now takes the first sample."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 16)
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens):
        states, _ = self.rnn(self.embed(tokens))
        return self.head(states)


def training(indexed):
    model, criterion = Tagger(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())

    def step(tokens, tags):
        optimizer.zero_grad()
        logits = model(tokens)
        if indexed:
            loss = criterion(logits[0], tags[0])  # BUG?: unread-samples
        else:
            loss = criterion(logits.flatten(0, 1), tags.flatten())
        loss.backward()
        optimizer.step()

    batch = torch.randint(0, 30, (4, 7)), torch.randint(0, 5, (4, 7))
    return smokestep.Training(lambda pair: step(*pair), batch)


def buggy():
    return training(indexed=True)


def fixed():
    return training(indexed=False)
