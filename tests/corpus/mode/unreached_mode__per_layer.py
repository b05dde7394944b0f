"""One dropout for each recurrent layer, kept in a list."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self, layers=2):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.cells = nn.ModuleList([nn.GRU(8, 8, batch_first=True) for _ in range(layers)])
        self.out = nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        for cell, drop in zip(self.cells, self.drops):
            x = drop(cell(x)[0])
        return self.out(x[:, -1])


class Listed(Tagger):
    def __init__(self, layers=2):
        super().__init__(layers)
        self.drops = [nn.Dropout(0.1 * (i + 1)) for i in range(layers)]  # BUG: unreached-mode


class Registered(Tagger):
    def __init__(self, layers=2):
        super().__init__(layers)
        self.drops = nn.ModuleList([nn.Dropout(0.1 * (i + 1)) for i in range(layers)])


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, 20, (8, 7)), torch.randint(0, 3, (8,))))


def buggy():
    return training(Listed())


def fixed():
    return training(Registered())
