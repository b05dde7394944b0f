"""An encoder and a decoder handed on as a tuple attribute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = (nn.Linear(8, 3), nn.Linear(3, 8))  # BUG: unregistered-parameter
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):
        encoder, decoder = self.parts
        return self.scale * decoder(torch.tanh(encoder(x)))


class Registered(Autoencoder):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(8, 3), nn.Linear(3, 8)])


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def fit_batch(self, x):
        loss = F.mse_loss(self.model(x), x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def buggy():
    return smokestep.Training(Trainer(Autoencoder()).fit_batch, torch.randn(8, 8))


def fixed():
    return smokestep.Training(Trainer(Registered()).fit_batch, torch.randn(8, 8))
