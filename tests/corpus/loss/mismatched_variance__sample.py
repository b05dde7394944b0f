"""A variational autoencoder samples with exp(log_var), the variance, as its standard deviation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(20, 32), nn.ReLU())
        self.mean, self.log_var = nn.Linear(32, 4), nn.Linear(32, 4)

    def forward(self, x):
        h = self.shared(x)
        return self.mean(h), self.log_var(h)


class Autoencoder:
    def __init__(self, half):
        self.encoder = Encoder()
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 20))
        self.half = half
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], lr=1e-3)

    def sample(self, mean, log_var):
        std = torch.exp(log_var * self.half)
        eps = torch.randn(mean.shape)
        return mean + std * eps  # BUG?: mismatched-variance

    def step(self, x):
        mean, log_var = self.encoder(x)
        reconstruction = F.mse_loss(self.decoder(self.sample(mean, log_var)), x, reduction="none").sum(1)
        divergence = 0.5 * torch.sum(log_var.exp() + mean**2 - 1.0 - log_var, dim=1)
        loss = (reconstruction + divergence).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def buggy():
    return smokestep.Training(Autoencoder(half=1).step, torch.randn(16, 20))


def fixed():
    return smokestep.Training(Autoencoder(half=0.5).step, torch.randn(16, 20))
