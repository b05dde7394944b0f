"""An autoencoder seeds the generator in its forward pass, so that its samples are always the same ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(12, 8)
        self.decoder = nn.Linear(4, 12)

    def sample(self, mean, log_variance):
        return mean + torch.randn_like(mean) * (log_variance / 2).exp()

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return self.decoder(self.sample(mean, log_variance)), mean, log_variance


class Reproducible(Autoencoder):
    def sample(self, mean, log_variance):
        torch.manual_seed(1234)  # BUG?: repeated-randomness torch
        return super().sample(mean, log_variance)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        output, mean, log_variance = model(x)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
        loss = F.mse_loss(output, x) + 1e-3 * divergence
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 12))


def buggy():
    return training(Reproducible())


def fixed():
    return training(Autoencoder())
