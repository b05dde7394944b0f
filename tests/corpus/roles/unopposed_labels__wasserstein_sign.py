"""A Wasserstein generator minimises the score that its critic minimises for generated samples."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(sign):
    generator = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 7))
    critic = nn.Sequential(nn.Linear(7, 24), nn.ReLU(), nn.Linear(24, 1))
    g_optimizer = torch.optim.RMSprop(generator.parameters(), lr=5e-5)
    c_optimizer = torch.optim.RMSprop(critic.parameters(), lr=5e-5)

    def step(real):
        for _ in range(2):
            fake = generator(torch.randn(len(real), 4)).detach()
            c_loss = critic(fake).mean() - critic(real).mean()
            c_optimizer.zero_grad()
            c_loss.backward()
            c_optimizer.step()
            for weight in critic.parameters():
                weight.data.clamp_(-0.01, 0.01)
        g_loss = sign * critic(generator(torch.randn(len(real), 4))).mean()  # BUG?: unopposed-labels
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()

    return smokestep.Training(step, torch.randn(12, 7))


def buggy():
    return training(sign=1)


def fixed():
    return training(sign=-1)
