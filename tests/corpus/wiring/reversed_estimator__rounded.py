"""Weights that are rounded for the forward pass, with the difference taken the wrong way round."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def fake_quantize(w, sign):
    scale = w.detach().abs().max() / 7
    rounded = torch.round(w / scale) * scale
    return w + sign * (rounded - w).detach() if sign > 0 else w + (w - rounded).detach()  # BUG?: reversed-estimator


class Quantized(nn.Linear):
    sign = 1

    def forward(self, x):
        return F.linear(x, fake_quantize(self.weight, self.sign), self.bias)


def training(sign):
    model = nn.Sequential(Quantized(6, 24), nn.ReLU(), Quantized(24, 3))
    for layer in (model[0], model[2]):
        layer.sign = sign
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randn(16, 6), torch.randint(0, 3, (16,))))


def buggy():
    return training(sign=-1)


def fixed():
    return training(sign=1)
