"""A learned position is used as an index into the sequence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Pointer(nn.Module):
    def __init__(self):
        super().__init__()
        self.position = nn.Linear(6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, sequence):
        where = torch.sigmoid(self.position(sequence.mean(dim=1))).squeeze(1) * (sequence.shape[1] - 1)
        picked = sequence[torch.arange(len(sequence)), where.long()]  # BUG: gradient-cut position.weight, position.bias
        return self.head(picked)


class SoftPointer(Pointer):
    def forward(self, sequence):
        where = torch.sigmoid(self.position(sequence.mean(dim=1))) * (sequence.shape[1] - 1)
        distance = where - torch.arange(sequence.shape[1])
        weights = torch.softmax(-distance.square(), dim=1)
        return self.head((weights.unsqueeze(-1) * sequence).sum(dim=1))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 4, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Pointer())


def fixed():
    return training(SoftPointer())
