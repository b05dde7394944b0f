"""A Wasserstein GAN whose generator step uses the optimizer of both: it raises the critic's score by moving the critic."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Wgan:
    def __init__(self):
        self.generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 5))
        self.critic = nn.Sequential(nn.Linear(5, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        self.critic_optimizer = torch.optim.RMSprop(self.critic.parameters(), lr=5e-5)
        self.optimizer = self.generator_optimizer()

    def generator_optimizer(self):
        variables = [*self.generator.parameters(), *self.critic.parameters()]
        return torch.optim.RMSprop(variables, lr=5e-5)  # BUG: foreign-parameters critic.*

    def train_batch(self, real):
        for _ in range(2):
            with torch.no_grad():
                fake = self.generator(torch.randn(len(real), 3))
            loss = self.critic(fake).mean() - self.critic(real).mean()
            self.critic_optimizer.zero_grad()
            loss.backward()
            self.critic_optimizer.step()
            for parameter in self.critic.parameters():
                parameter.data.clamp_(-0.1, 0.1)

        loss = -self.critic(self.generator(torch.randn(len(real), 3))).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class TwoOptimizers(Wgan):
    def generator_optimizer(self):
        return torch.optim.RMSprop(self.generator.parameters(), lr=5e-5)


def training(gan):
    return smokestep.Training(
        gan.train_batch, torch.randn(8, 5), model={"generator": gan.generator, "critic": gan.critic}
    )


def buggy():
    return training(Wgan())


def fixed():
    return training(TwoOptimizers())
