"""A Wasserstein critic whose gradient penalty is computed with retain_graph and without create_graph."""

from __future__ import annotations

import torch
from torch import autograd, nn

import smokestep


def gradient_penalty(critic, real, fake, create_graph):
    share = torch.rand(real.size(0), 1, 1, 1)
    mixed = (share * real + (1 - share) * fake).requires_grad_(True)
    score = critic(mixed)
    gradients = autograd.grad(  # BUG: constant-penalty
        outputs=score,
        inputs=mixed,
        grad_outputs=torch.ones_like(score),
        create_graph=create_graph,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.view(real.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 4, 2, 1), nn.LeakyReLU(0.2)
        )
        self.out = nn.Linear(16 * 4 * 4, 1)

    def forward(self, x):
        return self.out(self.net(x).flatten(1))


def training(create_graph):
    critic = Critic()
    generator = nn.Sequential(nn.Linear(10, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.0, 0.9))

    def step(real):
        fake = generator(torch.randn(real.size(0), 10)).detach()
        critic_optimizer.zero_grad()
        loss = -critic(real).mean() + critic(fake).mean()
        loss = loss + 10 * gradient_penalty(critic, real, fake, create_graph)
        loss.backward()
        critic_optimizer.step()

        generator_optimizer.zero_grad()
        (-critic(generator(torch.randn(real.size(0), 10))).mean()).backward()
        generator_optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(6, 1, 16, 16))


def buggy():
    return training(create_graph=False)


def fixed():
    return training(create_graph=True)
