"""A frozen backbone left in train mode: its weights stay, its running statistics drift."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Finetune(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.backbone.requires_grad_(False)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.backbone(x).mean(dim=(2, 3)))


class Frozen(Finetune):
    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


def training(model):
    with torch.no_grad():
        model.train()
        model.backbone.train()
        model(torch.randn(8, 1, 6, 6))
    model.train()  # BUG?: drifting-statistics backbone.1
    optimizer = torch.optim.Adam(model.head.parameters())
    x, y = torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model=model)


def buggy():
    return training(Finetune())


def fixed():
    return training(Frozen())
