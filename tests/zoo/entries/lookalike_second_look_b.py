"""Adversaries whose discriminator compares data with generated samples: one loss reads two of its calls."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

binary = F.binary_cross_entropy_with_logits


def adversaries(judged: Callable[..., torch.Tensor], made: Callable[..., torch.Tensor]) -> smokestep.Training:
    generator = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 6))
    discriminator = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    g_optimizer = torch.optim.Adam(generator.parameters(), betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), betas=(0.5, 0.999))

    def step(real: torch.Tensor) -> torch.Tensor:
        fake = generator(torch.randn(len(real), 4))
        loss = judged(discriminator(real), discriminator(fake.detach()))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
        g_loss = made(discriminator(real).detach(), discriminator(fake))
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(16, 6))


@healthy()
def relativistic_average_adversaries() -> smokestep.Training:
    def more_real(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        first = binary(one - other.mean(), torch.ones_like(one))
        return (first + binary(other - one.mean(), torch.zeros_like(other))) / 2

    return adversaries(more_real, lambda real, fake: more_real(fake, real))


@healthy()
def relativistic_pairs_with_one_label() -> smokestep.Training:
    return adversaries(
        lambda real, fake: binary(real - fake, torch.ones_like(real)),
        lambda real, fake: binary(fake - real, torch.ones_like(real)),
    )
