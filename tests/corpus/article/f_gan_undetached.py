"""A GAN with one Adam over all variables whose discriminator step does not detach the fake images either."""

from __future__ import annotations

import torch
from torch import nn

import smokestep

NOISE, SIZE = 4, 6


class Gan:
    def __init__(self):
        self.generator = nn.Sequential(nn.Linear(NOISE, 16), nn.Tanh(), nn.Linear(16, SIZE))
        self.discriminator = nn.Sequential(nn.Linear(SIZE, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid())
        self.bce = nn.BCELoss()

    def fake(self, count):
        return self.generator(torch.randn(count, NOISE))


class SharedAdam(Gan):
    def __init__(self):
        super().__init__()
        variables = list(self.generator.parameters()) + list(self.discriminator.parameters())
        self.optimizer = torch.optim.Adam(variables, lr=1e-3)  # BUG: foreign-parameters discriminator.*

    def train_step(self, real):
        self.optimizer.zero_grad()
        real_loss = self.bce(self.discriminator(real), torch.ones(len(real), 1))
        fake_loss = self.bce(self.discriminator(self.fake(len(real))), torch.zeros(len(real), 1))
        (real_loss + fake_loss).backward()
        self.optimizer.step()

        self.optimizer.zero_grad()
        generator_loss = self.bce(self.discriminator(self.fake(len(real))), torch.ones(len(real), 1))
        generator_loss.backward()
        self.optimizer.step()


class TwoAdams(Gan):
    def __init__(self):
        super().__init__()
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), lr=1e-3)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=1e-3)

    def train_step(self, real):
        self.d_optimizer.zero_grad()
        real_loss = self.bce(self.discriminator(real), torch.ones(len(real), 1))
        fake_loss = self.bce(self.discriminator(self.fake(len(real)).detach()), torch.zeros(len(real), 1))
        (real_loss + fake_loss).backward()
        self.d_optimizer.step()

        self.g_optimizer.zero_grad()
        generator_loss = self.bce(self.discriminator(self.fake(len(real))), torch.ones(len(real), 1))
        generator_loss.backward()
        self.g_optimizer.step()


def training(gan):
    networks = {"generator": gan.generator, "discriminator": gan.discriminator}
    return smokestep.Training(gan.train_step, torch.randn(8, SIZE), model=networks)


def buggy():
    return training(SharedAdam())


def fixed():
    return training(TwoAdams())
