"""A VAE that samples with `sample` where `rsample` is needed: the encoder's spread learns nothing from the reconstruction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Linear(6, 2)
        self.spread = nn.Linear(6, 2)
        self.decoder = nn.Linear(2, 6)


class Sampled(Vae):
    def forward(self, x):
        latent = torch.distributions.Normal(self.mean(x), F.softplus(self.spread(x)))
        z = latent.sample()  # BUG: gradient-cut mean.*, spread.*
        return self.decoder(z)


class Reparametrised(Vae):
    def forward(self, x):
        latent = torch.distributions.Normal(self.mean(x), F.softplus(self.spread(x)))
        z = latent.rsample()
        return self.decoder(z)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.zeros(8)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Sampled())


def fixed():
    return training(Reparametrised())
