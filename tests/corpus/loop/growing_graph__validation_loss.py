"""After each update a validation loss is averaged with gradients on: nothing ever frees what it saved."""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(quietly):
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    held_out = torch.randn(8, 4), torch.randint(0, 3, (8,))
    history = {"validation": None}

    def validate():
        model.eval()
        with quietly():
            loss = F.cross_entropy(model(held_out[0]), held_out[1])
        model.train()
        before = history["validation"]
        history["validation"] = loss if before is None else 0.9 * before + 0.1 * loss  # BUG?: growing-graph

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        validate()
        return loss

    return smokestep.Training(step, (torch.randn(12, 4), torch.randint(0, 3, (12,))))


def buggy():
    return training(contextlib.nullcontext)


def fixed():
    return training(torch.no_grad)
