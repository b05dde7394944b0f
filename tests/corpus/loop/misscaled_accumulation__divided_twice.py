"""A helper that runs backward divides the loss by the number of micro-batches, and so does the loop that calls it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

STEPS = 2


class Accelerated:
    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)
        self.scaler = torch.amp.GradScaler("cpu")

    def backward(self, loss):
        loss = loss / STEPS
        self.scaler.scale(loss).backward()  # BUG?: misscaled-accumulation

    def update(self):
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()


def training(twice):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.GELU(), nn.Linear(8, 3))
    accelerated = Accelerated(model.parameters())

    def step(batch):
        images, labels = batch
        for x, y in zip(images.chunk(STEPS), labels.chunk(STEPS), strict=True):
            loss = F.cross_entropy(model(x), y)
            if twice:
                loss = loss / STEPS
            accelerated.backward(loss)
        accelerated.update()

    return smokestep.Training(step, (torch.randn(8, 3, 4), torch.randint(0, 3, (8,))))


def buggy():
    return training(twice=True)


def fixed():
    return training(twice=False)
