"""A new `nn.Dropout` built in every forward: a module nobody can switch to eval mode."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.out = nn.Linear(8, 2)
        self.drop = nn.Dropout(0.3)


class Fresh(Reader):
    def forward(self, ids):
        h = self.embed(ids).mean(dim=1)
        return self.out(nn.Dropout(0.3)(h))  # BUG?: stuck-dropout


class Kept(Reader):
    def forward(self, ids):
        h = self.embed(ids).mean(dim=1)
        return self.out(self.drop(h))


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    ids, y = torch.randint(0, 20, (6, 5)), torch.randint(0, 2, (6,))

    def step(batch):
        ids, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, y))


def buggy():
    return training(Fresh())


def fixed():
    return training(Kept())
