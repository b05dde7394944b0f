"""`self.norm.eval()` inside forward, copied from a model that fine-tunes pretrained statistics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3)))


class Switched(Net):
    def forward(self, x):
        self.norm.eval()  # BUG: inference-normalization norm
        return super().forward(x)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Switched())


def fixed():
    return training(Net())
