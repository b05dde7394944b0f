"""A GAN on a ring of points, with the role of each step declared: `trains=` says who may move, and all else must stay.

python examples/gan_roles.py            # two optimizers: no finding
python examples/gan_roles.py --shared   # one optimizer for both steps: the finding
"""

import argparse
import functools
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


def ring(count):
    angle = 2 * math.pi * torch.rand(count)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def training(shared=False):
    generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    if shared:
        both = [*generator.parameters(), *discriminator.parameters()]
        g_optimizer = d_optimizer = torch.optim.Adam(both, lr=1e-3)
    else:
        g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
        d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)

    def discriminator_step():
        with torch.no_grad():
            fake = generator(torch.randn(64, 4))
        scores = discriminator(torch.cat([ring(64), fake]))
        truth = torch.cat([torch.ones(64, 1), torch.zeros(64, 1)])
        loss = F.binary_cross_entropy_with_logits(scores, truth)
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
        return loss

    def generator_step():
        scores = discriminator(generator(torch.randn(64, 4)))
        loss = F.binary_cross_entropy_with_logits(scores, torch.ones(64, 1))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        return loss

    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        model={"discriminator": discriminator, "generator": generator},
        trains={"discriminator": discriminator, "generator": generator},
    )


def main():
    parser = argparse.ArgumentParser(description="Examine a GAN whose roles are declared.")
    parser.add_argument("--shared", action="store_true", help="one optimizer for both steps, the bug")
    args = parser.parse_args()
    print(smokestep.examine(functools.partial(training, args.shared)))


if __name__ == "__main__":
    main()
