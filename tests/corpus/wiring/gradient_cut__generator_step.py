"""A GAN detaches its samples once for both steps: the generator's step trains nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(shared):
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
    discriminator = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4)

    def step(real):
        made = generator(torch.randn(len(real), 4))
        fake = made.detach()  # BUG: gradient-cut generator.*
        scores = discriminator(torch.cat([real, fake]))
        labels = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
        d_loss = F.binary_cross_entropy_with_logits(scores, labels)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        scores = discriminator(fake if shared else made)
        g_loss = F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()

    return smokestep.Training(step, torch.randn(8, 6), model={"generator": generator, "discriminator": discriminator})


def buggy():
    return training(shared=True)


def fixed():
    return training(shared=False)
