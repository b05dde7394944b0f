"""Pictures in (height, width, channel), as image libraries load them, brought into the form of a convolution by `view`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def prepared(self, images):
        images = images.float() / 255
        return images.view(-1, 3, images.shape[1], images.shape[2])  # BUG?: view-for-transpose

    def train_step(self, batch):
        images, labels = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(self.prepared(images)), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Permuting(Trainer):
    def prepared(self, images):
        return images.float().permute(0, 3, 1, 2) / 255


def training(trainer):
    images = torch.randint(0, 256, (8, 12, 14, 3), dtype=torch.uint8)
    return smokestep.Training(trainer.train_step, (images, torch.randint(0, 5, (8,))))


def buggy():
    return training(Trainer())


def fixed():
    return training(Permuting())
