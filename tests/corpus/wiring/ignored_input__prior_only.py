"""A conditional decoder called on its latent alone: neither the image nor the label is read."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.latent = nn.Parameter(torch.randn(5))
        self.embed = nn.Embedding(4, 5)
        self.body = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 6))


class Unconditional(Decoder):
    def forward(self, label):  # BUG: ignored-input
        return self.body(self.latent.expand(label.shape[0], 5))


class Conditional(Decoder):
    def forward(self, label):
        return self.body(self.latent + self.embed(label))


def training(model):
    if not isinstance(model, Conditional):
        del model.embed
    optimizer = torch.optim.Adam(model.parameters())
    label, image = torch.randint(0, 4, (8,)), torch.randn(8, 6)

    def step(batch):
        label, image = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(label), image)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (label, image))


def buggy():
    return training(Unconditional())


def fixed():
    return training(Conditional())
