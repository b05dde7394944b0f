"""The averaged copy follows the parameters and not the buffers: its batch norms keep the statistics of the beginning.

Source: FlyreelAI/sesemi issue #36 (2022), "Batch norm statistics are not included in the update and so remain
unchanged throughout training", labelled bug; the same in pytorch/ignite issue #2590 (2022).
Symptom: the averaged model is far worse in evaluation than it should be.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class EMA:
    def __init__(self, model, decay=0.99):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for averaged, current in zip(self.model.parameters(), model.parameters(), strict=True):
            averaged.lerp_(current, 1 - self.decay)  # FAULT


class WithBuffers(EMA):
    @torch.no_grad()
    def update(self, model):
        super().update(model)
        for averaged, current in zip(self.model.buffers(), model.buffers(), strict=True):
            averaged.copy_(current)


def training(ema):
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.BatchNorm2d(16),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 6),
    )  # fmt: skip
    averaged = ema(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        averaged.update(model)
        with torch.no_grad():
            accuracy = (averaged.model(images).argmax(1) == labels).float().mean()
        return {"loss": loss, "ema_accuracy": accuracy}

    return smokestep.Training(step, (torch.randn(12, 3, 8, 8), torch.randint(0, 6, (12,))))


def buggy():
    return training(EMA)


def fixed():
    return training(WithBuffers)
