"""The backbone is unfrozen for the second phase; the optimizer was built from what could train in the first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.backbone(x))


def optimizer_of(model):
    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=1e-3)  # BUG?: unoptimized-parameter backbone.*


def training(rebuild):
    model = Classifier()
    model.backbone.requires_grad_(False)
    optimizer = optimizer_of(model)
    model.backbone.requires_grad_(True)
    if rebuild:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 8), torch.randint(0, 3, (8,))))


def buggy():
    return training(rebuild=False)


def fixed():
    return training(rebuild=True)
