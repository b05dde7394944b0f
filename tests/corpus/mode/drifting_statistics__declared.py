"""An encoder declared untouched, whose batch norm goes on averaging."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(eval_mode):
    encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
    encoder(torch.randn(16, 6))
    encoder.requires_grad_(False)
    if eval_mode:
        encoder.eval()
    probe = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.1)
    x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))

    def step(batch):
        x, y = batch
        features = encoder(x)  # BUG: drifting-statistics
        loss = F.cross_entropy(probe(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y), model={"encoder": encoder, "probe": probe}, untouched=encoder)


def buggy():
    return training(eval_mode=False)


def fixed():
    return training(eval_mode=True)
