"""The gradient penalty of a critic takes one norm of the whole batch's gradient."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def whole(gradient):
    return gradient.norm(2)  # BUG?: pooled-penalty


def each(gradient):
    return gradient.norm(2, dim=1)


def training(norm):
    critic = nn.Sequential(nn.Linear(5, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    generator = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 5))
    c_optimizer = torch.optim.RMSprop(critic.parameters(), lr=5e-5)
    g_optimizer = torch.optim.RMSprop(generator.parameters(), lr=5e-5)

    def step(real):
        fake = generator(torch.randn(len(real), 3))
        share = torch.rand(len(real), 1)
        between = torch.lerp(real, fake.detach(), share).requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = (norm(gradient) - 1).pow(2).mean()
        c_optimizer.zero_grad()
        (critic(fake.detach()).mean() - critic(real).mean() + 10 * penalty).backward()
        c_optimizer.step()
        g_optimizer.zero_grad()
        (-critic(fake).mean()).backward()
        g_optimizer.step()

    return smokestep.Training(step, torch.randn(12, 5))


def buggy():
    return training(whole)


def fixed():
    return training(each)
