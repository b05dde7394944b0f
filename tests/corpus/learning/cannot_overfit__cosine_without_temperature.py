"""Scores that are cosines lie between -1 and 1, where cross-entropy cannot become small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class CosineClassifier(nn.Module):
    def __init__(self, classes: int, temperature: float):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 16))
        self.prototypes = nn.Parameter(torch.randn(classes, 16))
        self.temperature = temperature

    def forward(self, image):
        feature = F.normalize(self.body(image), dim=1)
        return feature @ F.normalize(self.prototypes, dim=1).T / self.temperature


def training(temperature):
    model = CosineClassifier(10, temperature)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)

    def step(batch):
        logits = model(batch["image"])
        loss = F.cross_entropy(logits, batch["label"])  # BUG?: cannot-overfit
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, {"image": torch.randn(12, 1, 6, 6), "label": torch.arange(12) % 10})


def buggy():
    return training(1.0)


def fixed():
    return training(0.05)
