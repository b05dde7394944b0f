"""Sigmoid features whose biases are all set to 8, "so that every unit starts switched on"."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def build(bias):
    model = nn.Sequential(nn.Linear(9, 24), nn.Sigmoid(), nn.Linear(24, 3))
    nn.init.constant_(model[0].bias, bias)
    return model


def training(bias):
    model = build(bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch):
        optimizer.zero_grad()
        x, y = batch["x"], batch["y"]
        logits = model(x)  # BUG?: saturated-units 0.weight
        loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    return smokestep.Training(step, {"x": torch.randn(12, 9), "y": torch.randint(0, 3, (12,))})


def buggy():
    return training(8.0)


def fixed():
    return training(0.0)
