"""The gradient penalty of images takes the norm over their channels, written out with a square root."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Trainer:
    def __init__(self, flatten):
        self.critic = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.SiLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(200, 1)
        )
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=1e-4)
        self.flatten = flatten

    def penalty(self, x):
        x.requires_grad_(True)
        out = self.critic(x)
        grad = torch.autograd.grad(out, x, torch.ones_like(out), create_graph=True)[0]
        if self.flatten:
            grad = grad.reshape(grad.shape[0], -1)
        norm = torch.sqrt(torch.sum(grad**2, dim=1) + 1e-12)  # BUG?: pooled-penalty
        return ((norm - 1) ** 2).mean()

    def __call__(self, batch):
        real, fake = batch
        self.optimizer.zero_grad()
        mixed = 0.3 * real + 0.7 * fake
        loss = self.critic(fake).mean() - self.critic(real).mean() + 10.0 * self.penalty(mixed)
        loss.backward()
        self.optimizer.step()


def buggy():
    return smokestep.Training(Trainer(flatten=False), (torch.rand(4, 3, 15, 15), torch.rand(4, 3, 15, 15)))


def fixed():
    return smokestep.Training(Trainer(flatten=True), (torch.rand(4, 3, 15, 15), torch.rand(4, 3, 15, 15)))
