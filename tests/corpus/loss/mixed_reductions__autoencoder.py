"""The reconstruction is averaged, as cross-entropy does by default, and the divergence is added up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(20, 16)
        self.mean, self.log_var = nn.Linear(16, 4), nn.Linear(16, 4)
        self.out = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 20))

    def forward(self, x):
        hidden = self.inside(x).relu()
        mean, log_var = self.mean(hidden), self.log_var(hidden)
        return self.out(mean + torch.randn_like(mean) * (0.5 * log_var).exp()), mean, log_var


def divergence(mean, log_var):
    return -0.5 * torch.sum(1 + log_var - mean**2 - log_var.exp())  # BUG?: mixed-reductions


def training(reduction):
    vae = VAE()
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        seen, mean, log_var = vae(x)
        loss = F.binary_cross_entropy_with_logits(seen, x, reduction=reduction) + divergence(mean, log_var)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.rand(12, 20))


def buggy():
    return training("mean")


def fixed():
    return training("sum")
