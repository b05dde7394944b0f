"""A log-softmax over the batch instead of over the classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)


class OverBatch(Net):
    def forward(self, x):
        return F.log_softmax(self.fc(x), dim=0)  # BUG: wrong-softmax-dim


class OverClasses(Net):
    def forward(self, x):
        return F.log_softmax(self.fc(x), dim=1)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(OverBatch())


def fixed():
    return training(OverClasses())
