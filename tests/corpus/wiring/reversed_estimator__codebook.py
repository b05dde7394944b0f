"""A vector-quantised autoencoder whose straight-through line has its two names exchanged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Quantizer(nn.Module):
    def __init__(self, straight):
        super().__init__()
        self.codebook = nn.Embedding(16, 4)
        self.straight = straight

    def forward(self, z):
        distances = (
            z.pow(2).sum(1, keepdim=True) - 2 * z @ self.codebook.weight.t() + self.codebook.weight.pow(2).sum(1)
        )
        quantized = self.codebook(distances.argmin(dim=1))
        loss = F.mse_loss(quantized, z.detach()) + 0.25 * F.mse_loss(z, quantized.detach())
        if self.straight:
            return z + (quantized - z).detach(), loss
        return quantized + (z - quantized).detach(), loss  # BUG?: reversed-estimator


class VQVAE(nn.Module):
    def __init__(self, straight):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 4))
        self.quantizer = Quantizer(straight)
        self.decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 9))

    def forward(self, x):
        code, loss = self.quantizer(self.encoder(x))
        return self.decoder(code), loss


def training(straight):
    model = VQVAE(straight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        decoded, extra = model(x)
        loss = F.mse_loss(decoded, x) + extra
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(20, 9))


def buggy():
    return training(straight=False)


def fixed():
    return training(straight=True)
