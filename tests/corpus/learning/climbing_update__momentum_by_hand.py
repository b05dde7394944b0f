"""Momentum written by hand, whose velocity holds the descent and is then subtracted once more."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(sign):
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    velocity = [torch.zeros_like(p) for p in model.parameters()]

    def step(batch):
        x, y = batch
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            for p, v in zip(model.parameters(), velocity, strict=True):
                v.mul_(0.9).add_(p.grad, alpha=-0.02)
                p.add_(v, alpha=sign)  # BUG?: climbing-update
        return loss

    return smokestep.Training(step, (torch.randn(16, 6), torch.randint(0, 3, (16,))))


def buggy():
    return training(-1)


def fixed():
    return training(1)
