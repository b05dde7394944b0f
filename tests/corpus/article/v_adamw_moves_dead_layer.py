"""A layer cut off by rounding gets a gradient of exactly 0, and AdamW's decay moves it all the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 12)
        self.decoder = nn.Linear(12, 3)

    def forward(self, x):
        codes = torch.round(4 * self.encoder(x))  # BUG: gradient-cut encoder.weight, encoder.bias
        return self.decoder(codes / 4)


class StraightThrough(Quantised):
    def forward(self, x):
        exact = 4 * self.encoder(x)
        codes = exact + (torch.round(exact) - exact).detach()
        return self.decoder(codes / 4)


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Quantised())


def fixed():
    return training(StraightThrough())
