"""The two betas are unpacked from a configuration in the wrong order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

CONFIG = {"lr": 2e-4, "beta1": 0.9, "beta2": 0.999}


def training(first, second):
    vae = nn.ModuleDict({"encoder": nn.Linear(12, 8), "decoder": nn.Linear(4, 12)})
    betas = (CONFIG[first], CONFIG[second])
    optimizer = torch.optim.Adam(vae.parameters(), lr=CONFIG["lr"], betas=betas)  # BUG?: swapped-betas

    def step(x):
        mean, log_var = vae["encoder"](x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        kl = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(1).mean()
        loss = F.mse_loss(vae["decoder"](z), x, reduction="sum") / len(x) + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 12))


def buggy():
    return training("beta2", "beta1")


def fixed():
    return training("beta1", "beta2")
