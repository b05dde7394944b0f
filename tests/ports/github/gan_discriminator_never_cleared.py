"""The discriminator's gradients are never cleared: what the generator step left in them is added to its next step.

Source: Adversarial-Deep-Learning/code-soup issue #69 and pull request #73 (2021), "Zero Grad and Generator error
missing in GAN": `self.discriminator.zero_grad()` had to be added.
Symptom: the discriminator is pushed by the sum of all earlier gradients, the generator's among them, and training is
erratic.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class GAN:
    def __init__(self, clear):
        self.clear = clear
        self.generator = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh())
        self.discriminator = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1), nn.Sigmoid())
        self.optimizerG = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizerD = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.criterion = nn.BCELoss()

    def step(self, images):
        real, fake = torch.ones(len(images)), torch.zeros(len(images))
        if self.clear:
            self.discriminator.zero_grad()
        errD_real = self.criterion(self.discriminator(images).view(-1), real)
        errD_real.backward()  # FAULT
        produced = self.generator(torch.randn(len(images), 8))
        errD_fake = self.criterion(self.discriminator(produced.detach()).view(-1), fake)
        errD_fake.backward()  # FAULT
        self.optimizerD.step()

        self.generator.zero_grad()
        errG = self.criterion(self.discriminator(produced).view(-1), real)
        errG.backward()
        self.optimizerG.step()
        return errD_real + errD_fake, errG


def training(clear):
    gan = GAN(clear)
    return smokestep.Training(gan.step, torch.tanh(torch.randn(16, 16)))


def buggy():
    return training(clear=False)


def fixed():
    return training(clear=True)
