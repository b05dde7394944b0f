"""The spectral norm is first used in evaluation mode, before any power iteration: the weights are divided by almost
nothing.

Source: pytorch/pytorch issue #51800 (2021), "spectral_norm not properly initialized if used with eval first",
labelled "correctness (silent)". The repair is the parametrisation of pull request #59564.
Symptom: outputs several orders of magnitude larger than the inputs in the first evaluation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def discriminator(norm):
    return nn.Sequential(
        norm(nn.Linear(16, 64)), nn.LeakyReLU(0.2), norm(nn.Linear(64, 64)), nn.LeakyReLU(0.2), norm(nn.Linear(64, 1))
    )


class GAN:
    def __init__(self, norm):
        self.G = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16))
        self.D = discriminator(norm)
        self.g_optimizer = torch.optim.Adam(self.G.parameters(), lr=2e-4, betas=(0.0, 0.9))
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), lr=2e-4, betas=(0.0, 0.9))

    def train_batch(self, real):
        self.D.eval()
        g_loss = -self.D(self.G(torch.randn(len(real), 6))).mean()
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()

        self.D.train()
        with torch.no_grad():
            fake = self.G(torch.randn(len(real), 6))
        d_loss = F.relu(1 - self.D(real)).mean() + F.relu(1 + self.D(fake)).mean()
        self.d_optimizer.zero_grad()
        d_loss.backward()
        self.d_optimizer.step()
        return d_loss


def training(norm):
    return smokestep.Training(GAN(norm).train_batch, torch.randn(16, 16))


def buggy():
    return training(nn.utils.spectral_norm)  # FAULT


def fixed():
    return training(nn.utils.parametrizations.spectral_norm)
