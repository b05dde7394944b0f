"""A loop that builds a network puts a ReLU after every layer, the last one included."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class MLP(nn.Module):
    def __init__(self, sizes, last):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.last = last

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.last or i < len(self.layers) - 1:
                x = torch.relu(x)  # BUG?: clipped-logits
        return x


def training(last):
    model = MLP([10, 32, 32, 4], last)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(16, 10), torch.randint(0, 4, (16,))))


def buggy():
    return training(True)


def fixed():
    return training(False)
