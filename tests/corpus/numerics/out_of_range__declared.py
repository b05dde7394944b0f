"""An image decoder promises pixels between 0 and 1, and ends in a linear layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(4, 12)
        self.out = nn.Linear(12, 16)


class Linear(Decoder):
    def forward(self, z):
        return self.out(torch.relu(self.up(z)))  # BUG: out-of-range


class Bounded(Decoder):
    def forward(self, z):
        return torch.sigmoid(self.out(torch.relu(self.up(z))))


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    z, pixels = torch.randn(8, 4), torch.rand(8, 16)

    def step(batch):
        z, pixels = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(z), pixels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (z, pixels), model=model, output_range=(0.0, 1.0))


def buggy():
    return training(Linear())


def fixed():
    return training(Bounded())
