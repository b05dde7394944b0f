"""Logits clamped "for stability" keep every probability near one half."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(limit):
    encoder = nn.GRU(5, 24, batch_first=True)
    head = nn.Linear(24, 3)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=2e-2)
    series, tags = torch.randn(16, 7, 5), torch.randint(0, 2, (16, 3)).float()

    def step(batch):
        x, y = batch
        _, state = encoder(x)
        scores = head(state[0]).clamp(-limit, limit)
        loss = criterion(scores, y)  # BUG?: cannot-overfit
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (series, tags))


def buggy():
    return training(0.3)


def fixed():
    return training(30.0)
