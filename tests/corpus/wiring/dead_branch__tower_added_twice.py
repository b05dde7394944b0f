"""Two towers of Sequential, of which the sum takes the first one twice."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def tower():
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8))


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = tower()
        self.item = tower()
        self.score = nn.Linear(8, 1)

    def forward(self, user, item):
        left = self.user(user)
        right = self.item(item)  # BUG: dead-branch item.*
        return self.score(left * left)


class Product(TwoTowers):
    def forward(self, user, item):
        left = self.user(user)
        right = self.item(item)
        return self.score(left * right)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.BCEWithLogitsLoss()
    batch = {"user": torch.randn(8, 5), "item": torch.randn(8, 5), "clicked": torch.randint(0, 2, (8, 1)).float()}

    def step(batch):
        optimizer.zero_grad()
        loss = criterion(model(batch["user"], batch["item"]), batch["clicked"])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


def buggy():
    return training(TwoTowers())


def fixed():
    return training(Product())
