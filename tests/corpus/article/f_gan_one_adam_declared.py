"""The GAN with one Adam over all variables, as two steps whose roles are declared."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

NOISE, SIZE = 4, 6


def training(share_optimizer):
    generator = nn.Sequential(nn.Linear(NOISE, 16), nn.ReLU(), nn.Linear(16, SIZE))
    discriminator = nn.Sequential(nn.Linear(SIZE, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    everything = [*generator.parameters(), *discriminator.parameters()]
    g_optimizer = torch.optim.Adam(everything if share_optimizer else generator.parameters(), lr=2e-4)
    d_optimizer = g_optimizer if share_optimizer else torch.optim.Adam(discriminator.parameters(), lr=2e-4)
    real = torch.randn(8, SIZE)

    def discriminator_step():
        with torch.no_grad():
            fake = generator(torch.randn(8, NOISE))
        scores = discriminator(torch.cat([real, fake]))
        loss = F.binary_cross_entropy_with_logits(scores, torch.cat([torch.ones(8, 1), torch.zeros(8, 1)]))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
        return loss

    def generator_step():
        scores = discriminator(generator(torch.randn(8, NOISE)))
        loss = F.binary_cross_entropy_with_logits(scores, torch.ones(8, 1))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()  # BUG: foreign-update discriminator.*
        return loss

    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        model={"generator": generator, "discriminator": discriminator},
        trains={"discriminator": discriminator, "generator": generator},
    )


def buggy():
    return training(share_optimizer=True)


def fixed():
    return training(share_optimizer=False)
