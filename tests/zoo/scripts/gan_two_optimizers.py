"""A script with two networks and two optimizers: a generative adversarial network on a ring of points."""

import math

import torch
from torch import nn


def sample_ring(n):
    angle = torch.randint(0, 8, (n,)).float() * math.pi / 4
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.02 * torch.randn(n, 2)


class Generator(nn.Module):
    def __init__(self, latent=4):
        super().__init__()
        self.latent = latent
        self.net = nn.Sequential(nn.Linear(latent, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)
        )

    def forward(self, x):
        return self.net(x)


def main():
    torch.manual_seed(0)
    generator, discriminator = Generator(), Discriminator()
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    for i in range(30):
        real = sample_ring(32)
        ones, zeros = torch.ones(32, 1), torch.zeros(32, 1)

        optimizer_g.zero_grad()
        fake = generator(torch.randn(32, generator.latent))
        g_loss = criterion(discriminator(fake), ones)
        g_loss.backward()
        optimizer_g.step()

        optimizer_d.zero_grad()  # also clears what the generator's backward left in the discriminator
        d_loss = (criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)) / 2
        d_loss.backward()
        optimizer_d.step()
        if i % 10 == 0:
            print(f"{i}: D {d_loss.item():.3f} G {g_loss.item():.3f}")


main()
