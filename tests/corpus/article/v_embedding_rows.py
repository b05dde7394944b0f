"""An embedding table read through `.data` gets no gradient; in a healthy one only the rows of the batch move."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.out = nn.Linear(8, 2)


class DataWords(Words):
    def forward(self, ids):
        vectors = self.table.weight.data[ids]  # BUG: gradient-cut table.weight
        return self.out(vectors.mean(dim=1))


class LookedUpWords(Words):
    def forward(self, ids):
        return self.out(self.table(ids).mean(dim=1))


def training(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ids, labels = torch.randint(0, 10, (6, 5)), torch.randint(0, 2, (6,))

    def step(batch):
        ids, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, labels))


def buggy():
    return training(DataWords())


def fixed():
    return training(LookedUpWords())
