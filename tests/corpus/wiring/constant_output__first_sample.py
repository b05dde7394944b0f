"""`x[0]` where `x[:, 0]` was meant: the first sample's sequence is pooled, and every sample gets its answer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 12)
        self.head = nn.Linear(12, 3)


class FirstSample(Reader):
    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.head(h[0].mean(dim=0)).expand(len(x), 3)


class FirstToken(Reader):
    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.head(h[:, 0])


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters())

    def fit_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        output = self.model(x)  # BUG: constant-output
        loss = F.cross_entropy(output, y)
        loss.backward()
        self.optimizer.step()
        return loss


def training(model):
    return smokestep.Training(Trainer(model).fit_batch, (torch.randn(8, 4, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(FirstSample())


def fixed():
    return training(FirstToken())
