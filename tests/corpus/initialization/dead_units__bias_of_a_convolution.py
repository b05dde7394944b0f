"""The thresholds of a bank of filters are taken over in another unit: nearly every filter is silent on every image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def network(thresholds):
    conv = nn.Conv2d(3, 32, 3, padding=1)
    conv.bias.data = -thresholds
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 5))


class Experiment:
    def __init__(self, unit):
        self.model = network(torch.linspace(0.0, 1.0, 32) * unit)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    def train_batch(self, batch):
        images, labels = batch
        scores = self.model(images)  # BUG?: dead-units 0.weight
        loss = F.cross_entropy(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def buggy():
    return smokestep.Training(Experiment(100.0).train_batch, (torch.randn(8, 3, 8, 8), torch.randint(0, 5, (8,))))


def fixed():
    return smokestep.Training(Experiment(0.5).train_batch, (torch.randn(8, 3, 8, 8), torch.randint(0, 5, (8,))))
