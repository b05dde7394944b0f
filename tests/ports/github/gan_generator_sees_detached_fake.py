"""The generator step gives the discriminator a detached image, so the adversarial loss moves nothing in the generator.

Source: nikhilsinghmus/image2reverb issue #37 (2026): `fake_spec.detach()` in the generator's part of `training_step`;
the author answers that it "should not be there for the generator step and is a bug".
Symptom: the discriminator wins early, and only the reconstruction loss trains the generator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Image2Sound:
    def __init__(self):
        self.g = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 24))
        self.d = nn.Sequential(nn.Linear(24 + 12, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        self.g_optim = torch.optim.Adam(self.g.parameters(), lr=2e-4, betas=(0.0, 0.99))
        self.d_optim = torch.optim.Adam(self.d.parameters(), lr=4e-4, betas=(0.0, 0.99))

    def shown(self, fake):
        return fake.detach()  # FAULT

    def score(self, spec, label):
        return self.d(torch.cat([spec, label], dim=1))

    def train_batch(self, batch):
        label, spec = batch
        fake = self.g(label)

        self.d_optim.zero_grad()
        real_score, fake_score = self.score(spec, label), self.score(fake.detach(), label)
        d_loss = F.mse_loss(real_score, torch.ones_like(real_score)) + F.mse_loss(
            fake_score, torch.zeros_like(fake_score)
        )
        d_loss.backward()
        self.d_optim.step()

        self.g_optim.zero_grad()
        fake_score = self.score(self.shown(fake), label)
        adversarial = F.mse_loss(fake_score, torch.ones_like(fake_score))
        g_loss = adversarial + 100 * F.l1_loss(fake, spec)
        g_loss.backward()
        self.g_optim.step()
        return g_loss.item()


class Attached(Image2Sound):
    def shown(self, fake):
        return fake


def training(gan):
    label = torch.randn(16, 12)
    return smokestep.Training(gan.train_batch, (label, torch.tanh(label.repeat(1, 2))))


def buggy():
    return training(Image2Sound())


def fixed():
    return training(Attached())
