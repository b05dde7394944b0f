"""An embedding is filled from a table by assigning a new Parameter, after the optimizer was built."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.out = nn.Linear(6, 2)

    def forward(self, ids):
        return self.out(self.embed(ids).mean(dim=1))

    def load_vectors(self, vectors):
        self.embed.weight = nn.Parameter(vectors)


def training(model, optimizer):
    ids, y = torch.randint(0, 20, (8, 5)), torch.randint(0, 2, (8,))

    def step(batch):
        ids, y = batch
        loss = F.cross_entropy(model(ids), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, y), model=model, optimizer=optimizer)


def buggy():
    model = Words()
    optimizer = torch.optim.Adagrad(model.parameters())  # BUG: stale-optimizer embed.weight
    model.load_vectors(torch.randn(20, 6))
    return training(model, optimizer)


def fixed():
    model = Words()
    model.load_vectors(torch.randn(20, 6))
    optimizer = torch.optim.Adagrad(model.parameters())
    return training(model, optimizer)
