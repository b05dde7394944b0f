"""A GAN with one Adam over all variables for both steps: training the discriminator trains the generator to please it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

NOISE, SIZE = 4, 6


def networks():
    generator = nn.Sequential(nn.Linear(NOISE, 16), nn.ReLU(), nn.Linear(16, SIZE))
    discriminator = nn.Sequential(nn.Linear(SIZE, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    return generator, discriminator


def buggy():
    generator, discriminator = networks()
    variables = [*generator.parameters(), *discriminator.parameters()]
    optimizer = torch.optim.Adam(variables, lr=2e-4)  # BUG: foreign-parameters discriminator.*

    def step(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), NOISE))
        d_loss = F.binary_cross_entropy_with_logits(discriminator(real), ones)
        d_loss = d_loss + F.binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros)
        optimizer.zero_grad()
        d_loss.backward()
        optimizer.step()

        g_loss = F.binary_cross_entropy_with_logits(discriminator(fake), ones)
        optimizer.zero_grad()
        g_loss.backward()
        optimizer.step()
        return g_loss

    return smokestep.Training(
        step, torch.randn(8, SIZE), model={"generator": generator, "discriminator": discriminator}
    )


def fixed():
    generator, discriminator = networks()
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4)

    def step(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), NOISE))
        d_loss = F.binary_cross_entropy_with_logits(discriminator(real), ones)
        d_loss = d_loss + F.binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        g_loss = F.binary_cross_entropy_with_logits(discriminator(fake), ones)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        return g_loss

    return smokestep.Training(
        step, torch.randn(8, SIZE), model={"generator": generator, "discriminator": discriminator}
    )
