"""The KL term squares the log-variance as if it were the standard deviation.

Source: deepchem/deepchem pull request #4888 (2026): "`0.5 * mean(μ² + σ² - log(σ²) - 1)` where `σ² = logvar²` [...]
treated `logvar` as `σ` rather than `log(σ²)`, producing wrong gradients for the KL regularization term throughout VAE
training".
Symptom: the latent is pulled to a log-variance of one or minus one, not to a unit variance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class VAE_KLDivergence:
    def __call__(self, logvar, mu):
        logvar, mu = logvar.flatten(1), mu.flatten(1)
        return 0.5 * (mu.pow(2) + logvar.pow(2) - logvar.pow(2).log() - 1).mean(-1)  # FAULT


class Exponentiated(VAE_KLDivergence):
    def __call__(self, logvar, mu):
        logvar, mu = logvar.flatten(1), mu.flatten(1)
        return 0.5 * (mu.pow(2) + logvar.exp() - logvar - 1).mean(-1)


class MoleculeVAE(nn.Module):
    def __init__(self, bits=32, latent=5):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(bits, 24), nn.SELU())
        self.mu, self.logvar = nn.Linear(24, latent), nn.Linear(24, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 24), nn.SELU(), nn.Linear(24, bits))

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.decoder(z)), mu, logvar


def training(kl):
    model = MoleculeVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(fingerprints):
        reconstruction, mu, logvar = model(fingerprints)
        bce = F.binary_cross_entropy(reconstruction, fingerprints, reduction="none").mean(-1)
        loss = (bce + kl(logvar, mu)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(16, 32) < 0.3).float())


def buggy():
    return training(VAE_KLDivergence())


def fixed():
    return training(Exponentiated())
