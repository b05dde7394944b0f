"""The whole model is cast to float16 to save memory, and Adam keeps its usual epsilon."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(10, 20)
        self.out = nn.Linear(20, 3)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


def training(half, eps):
    model = Net()
    if half:
        model = model.half()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=eps)  # BUG: half-epsilon

    def step(batch):
        x, y = batch
        x = x.half() if half else x
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (0.05 * torch.randn(16, 10), torch.randint(0, 3, (16,))))


def buggy():
    return training(True, 1e-8)


def fixed():
    return training(True, 1e-4)
