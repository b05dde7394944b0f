"""A fit class that checks for early stopping after every batch and stays in eval mode."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, ids):
        return self.out(self.layer(self.embed(ids)).mean(dim=1))


class Fit:
    def __init__(self, train_first):
        self.model = Transformer()
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.train_first = train_first
        self.best = float("inf")

    def validate(self, batch):
        ids, y = batch
        self.model.eval()  # BUG?: trained-in-eval
        with torch.no_grad():
            self.best = min(self.best, F.cross_entropy(self.model(ids), y).item())

    def fit_batch(self, batch):
        ids, y = batch
        if self.train_first:
            self.model.train()
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(ids), y)
        loss.backward()
        self.optimizer.step()
        return loss


def training(train_first):
    fit = Fit(train_first)
    batch = torch.randint(0, 20, (6, 5)), torch.randint(0, 2, (6,))
    fit.validate(batch)
    return smokestep.Training(fit.fit_batch, batch, model=fit.model)


def buggy():
    return training(train_first=False)


def fixed():
    return training(train_first=True)
