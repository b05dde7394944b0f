"""The padding mask is accepted, and the attention never reads it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Pooler(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.score = nn.Linear(8, 1, bias=False)
        self.head = nn.Linear(8, 2)


class Unmasked(Pooler):
    def forward(self, ids, mask):  # BUG?: ignored-input
        h = self.embed(ids)
        weights = self.score(h).squeeze(-1).softmax(dim=1)
        return self.head((weights.unsqueeze(-1) * h).sum(dim=1))


class Masked(Pooler):
    def forward(self, ids, mask):
        h = self.embed(ids)
        weights = self.score(h).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(dim=1)
        return self.head((weights.unsqueeze(-1) * h).sum(dim=1))


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    ids, labels = torch.randint(0, 20, (6, 5)), torch.randint(0, 2, (6,))
    mask = torch.arange(5) < torch.tensor([5, 4, 3, 5, 2, 4]).unsqueeze(1)

    def step(batch):
        ids, mask, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids, mask), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, mask, labels))


def buggy():
    return training(Unmasked())


def fixed():
    return training(Masked())
