"""A distance within a mask is a root, whose slope outside of the mask is infinite times zero: AMP skips it all."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def distance(output, target, eps):
    difference = (output - target) ** 2
    return torch.sqrt(difference + eps).mean()


def training(eps):
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu")

    def step(images):
        optimizer.zero_grad(set_to_none=True)
        mask = torch.zeros_like(images)
        mask[..., 2:6, 2:6] = 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = net(images * (1 - mask))
        loss = distance(output.float() * mask, images * mask, eps)
        scaler.scale(loss).backward()
        scaler.step(optimizer)  # BUG: skipped-steps
        scaler.update()
        return loss.detach()

    return smokestep.Training(step, torch.rand(4, 1, 8, 8))


def buggy():
    return training(0.0)


def fixed():
    return training(1e-6)
