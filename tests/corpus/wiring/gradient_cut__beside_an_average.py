"""A detach left in from debugging, in a training that keeps an average of its weights, which moves by rounding alone."""

from __future__ import annotations

import copy

import torch
from torch import nn

import smokestep


class Denoiser(nn.Module):
    def __init__(self, probe: bool):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU())
        self.head = nn.Linear(16, 6)
        self.probe = probe

    def forward(self, x):
        h = self.body(x)
        if self.probe:
            h = h.detach()  # BUG: gradient-cut model.body.*
        return self.head(h)


def training(probe):
    torch.manual_seed(0)
    model = Denoiser(probe)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        noise = torch.randn_like(x)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(0.7 * x + 0.7 * noise), noise)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for kept, new in zip(average.parameters(), model.parameters(), strict=True):
                kept.copy_(0.99 * kept + 0.01 * new)
        return loss

    return smokestep.Training(step, torch.randn(16, 6), model={"model": model, "average": average}, optimizer=optimizer)


def buggy():
    return training(True)


def fixed():
    return training(False)
