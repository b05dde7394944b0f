"""Adversaries whose loss compares two outputs of a discriminator; sorted labels that are served in another order."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

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


class Mixed(Dataset):
    """Keeps its labels sorted by class, and serves them in an order of its own."""

    def __init__(self):
        self.labels = [i // 30 for i in range(120)]
        self.order = torch.randperm(120).tolist()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int):
        label = self.labels[self.order[index]]
        return torch.randn(8) + label, label


@healthy()
def data_set_that_mixes_its_sorted_labels_itself() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters())
    batches = iter(DataLoader(Mixed(), batch_size=16))

    def step() -> torch.Tensor:
        x, y = next(batches)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step)
