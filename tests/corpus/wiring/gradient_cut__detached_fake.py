"""The generator's own step copies the line of the discriminator's, with the `detach` that belongs only there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def networks():
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
    discriminator = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    return generator, discriminator


def buggy():
    generator, discriminator = networks()
    for_generator = torch.optim.Adam(generator.parameters(), lr=2e-4)
    for_discriminator = torch.optim.Adam(discriminator.parameters(), lr=2e-4)

    def step(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), 4))
        told = discriminator(torch.cat([real, fake.detach()]))
        for_discriminator.zero_grad()
        F.binary_cross_entropy_with_logits(told, torch.cat([ones, zeros])).backward()
        for_discriminator.step()

        for_generator.zero_grad()
        told = discriminator(fake.detach())  # BUG: gradient-cut generator.*
        F.binary_cross_entropy_with_logits(told, ones).backward()
        for_generator.step()

    return smokestep.Training(step, torch.randn(16, 8))


def fixed():
    generator, discriminator = networks()
    for_generator = torch.optim.Adam(generator.parameters(), lr=2e-4)
    for_discriminator = torch.optim.Adam(discriminator.parameters(), lr=2e-4)

    def step(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), 4))
        told = discriminator(torch.cat([real, fake.detach()]))
        for_discriminator.zero_grad()
        F.binary_cross_entropy_with_logits(told, torch.cat([ones, zeros])).backward()
        for_discriminator.step()

        for_generator.zero_grad()
        told = discriminator(fake)
        F.binary_cross_entropy_with_logits(told, ones).backward()
        for_generator.step()

    return smokestep.Training(step, torch.randn(16, 8))
