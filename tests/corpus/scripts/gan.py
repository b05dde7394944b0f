"""A GAN on a mixture of Gaussians, whose two steps share one Adam over all variables."""

import argparse
import itertools

import torch
from torch import nn


def mlp(inputs, outputs, hidden=32):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, outputs))


def sample(count):
    centres = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    return centres[torch.randint(0, 4, (count,))] + 0.1 * torch.randn(count, 2)


def train(steps, batch_size, latent, lr):
    generator, discriminator = mlp(latent, 2), mlp(2, 1)
    variables = itertools.chain(generator.parameters(), discriminator.parameters())
    optimizer = torch.optim.Adam(variables, lr=lr, betas=(0.5, 0.999))  # BUG: foreign-parameters
    bce = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch_size, 1), torch.zeros(batch_size, 1)

    for step in range(steps):
        fake = generator(torch.randn(batch_size, latent))

        optimizer.zero_grad()
        d_loss = bce(discriminator(sample(batch_size)), ones) + bce(discriminator(fake.detach()), zeros)
        d_loss.backward()
        optimizer.step()

        optimizer.zero_grad()
        g_loss = bce(discriminator(fake), ones)
        g_loss.backward()
        optimizer.step()

        if step % 100 == 0:
            print(f"{step:5d}  d {d_loss.item():.3f}  g {g_loss.item():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--latent", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    train(**vars(parser.parse_args()))
