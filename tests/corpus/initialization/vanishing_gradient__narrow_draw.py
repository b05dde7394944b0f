"""A plain convolutional stack whose weights are all drawn with a standard deviation of 0.03, whatever their size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def stack(narrow):
    layers = []
    for i in range(7):
        conv = nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1)
        if narrow:
            nn.init.normal_(conv.weight, std=0.03)
        else:
            nn.init.kaiming_normal_(conv.weight)
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


def train_epoch(model, optimizer, images, labels):
    optimizer.zero_grad()
    outputs = model(images)  # BUG?: vanishing-gradient 0.weight
    loss = F.cross_entropy(outputs, labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def training(narrow):
    model = stack(narrow)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, labels = torch.randn(6, 3, 8, 8), torch.randint(0, 3, (6,))
    return smokestep.Training(lambda: train_epoch(model, optimizer, images, labels))


def buggy():
    return training(True)


def fixed():
    return training(False)
