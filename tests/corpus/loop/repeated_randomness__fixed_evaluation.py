"""After each update samples are drawn from a fixed seed, and the training goes on from where that left the generator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(apart):
    model = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 6))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    previews = []

    @torch.no_grad()
    def preview():
        model.eval()
        torch.manual_seed(0)  # BUG?: repeated-randomness torch
        noise = torch.randn(4, 6)
        for _ in range(3):
            noise = noise - 0.1 * model(noise)
        previews.append(noise)
        model.train()

    def step(x):
        noise, time = torch.randn_like(x), torch.rand(len(x), 1)
        optimizer.zero_grad()
        loss = F.mse_loss(model((1 - time) * x + time * noise), noise)
        loss.backward()
        optimizer.step()
        if apart:
            with torch.random.fork_rng():
                preview()
        else:
            preview()
        return loss

    return smokestep.Training(step, torch.randn(16, 6))


def buggy():
    return training(apart=False)


def fixed():
    return training(apart=True)
