"""A GAN in a class: the discriminator is told that generated samples are real, too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class GAN:
    def __init__(self, fake_label):
        self.generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 5))
        self.discriminator = nn.Sequential(nn.Linear(5, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        self.g = torch.optim.Adam(self.generator.parameters(), lr=1e-3)
        self.d = torch.optim.Adam(self.discriminator.parameters(), lr=1e-3)
        self.fake_label = fake_label

    def adversarial(self, x, label):
        scores = self.discriminator(x)
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))

    def train_discriminator(self, real):
        with torch.no_grad():
            fake = self.generator(torch.randn(len(real), 3))
        loss = (self.adversarial(real, 1.0) + self.adversarial(fake, self.fake_label)) / 2  # BUG?: unopposed-labels
        self.d.zero_grad()
        loss.backward()
        self.d.step()

    def train_generator(self, size):
        loss = self.adversarial(self.generator(torch.randn(size, 3)), 1.0)
        self.g.zero_grad()
        loss.backward()
        self.g.step()

    def step(self, real):
        self.train_discriminator(real)
        self.train_generator(len(real))


def buggy():
    return smokestep.Training(GAN(fake_label=1.0).step, torch.randn(10, 5))


def fixed():
    return smokestep.Training(GAN(fake_label=0.0).step, torch.randn(10, 5))
