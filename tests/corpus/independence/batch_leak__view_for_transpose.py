"""Frames of a clip brought to the front by view, which cuts every clip into pieces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Clips(nn.Module):
    def __init__(self, front):
        super().__init__()
        self.front = front
        self.frame = nn.Linear(12, 8)
        self.rnn = nn.GRU(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, clips):
        batch, time = clips.shape[:2]
        h = F.relu(self.frame(clips.flatten(2)))
        h = self.front(h, time, batch)
        _, last = self.rnn(h)
        return self.head(last[-1])


def viewed(h, time, batch):
    return h.view(time, batch, -1)  # BUG: batch-leak model*


def transposed(h, time, batch):
    return h.transpose(0, 1)


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Clips(viewed), (torch.randn(6, 5, 3, 4), torch.randint(0, 3, (6,))))


def fixed():
    return training(Clips(transposed), (torch.randn(6, 5, 3, 4), torch.randint(0, 3, (6,))))
