"""Samples come with weights against the imbalance of the classes; the loss does not take them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def to_device(batch, device):
    return {name: tensor.to(device) for name, tensor in batch.items()}


def training(weighted):
    model = nn.Sequential(nn.Linear(9, 24), nn.GELU(), nn.Linear(24, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def step(batch):
        batch = to_device(batch, "cpu")
        scores = model(batch["features"]).squeeze(-1)  # BUG?: unread-field
        weight = batch["sample_weight"] if weighted else None
        loss = F.binary_cross_entropy_with_logits(scores, batch["label"], weight=weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    label = (torch.arange(20) % 10 == 0).float()
    batch = {"features": torch.randn(20, 9), "label": label, "sample_weight": 1 + 9 * label}
    return smokestep.Training(step, batch)


def buggy():
    return training(False)


def fixed():
    return training(True)
