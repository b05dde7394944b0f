"""A DCGAN whose generator step reuses the zeros of the discriminator's."""

from __future__ import annotations

import torch
from torch import nn

import smokestep

Z = 6


def networks():
    generator = nn.Sequential(nn.Linear(Z, 32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    discriminator = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128, 1), nn.Sigmoid()
    )
    return generator, discriminator


def training(wanted):
    netG, netD = networks()
    criterion = nn.BCELoss()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(real):
        label = torch.full((real.size(0),), 1.0)
        netD.zero_grad()
        criterion(netD(real).view(-1), label).backward()
        fake = netG(torch.randn(real.size(0), Z))
        label.fill_(0.0)
        criterion(netD(fake.detach()).view(-1), label).backward()
        optimizerD.step()

        netG.zero_grad()
        label.fill_(wanted)
        errG = criterion(netD(fake).view(-1), label)  # BUG?: unopposed-labels
        errG.backward()
        optimizerG.step()
        return errG

    return smokestep.Training(step, torch.rand(8, 1, 8, 8) * 2 - 1, model={"netG": netG, "netD": netD})


def buggy():
    return training(wanted=0.0)


def fixed():
    return training(wanted=1.0)
