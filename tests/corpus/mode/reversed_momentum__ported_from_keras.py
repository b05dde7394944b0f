"""A convolutional block ported from Keras, with the momentum and the eps that it has there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class ConvBlock(nn.Module):
    def __init__(self, inside, outside, momentum):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outside, momentum=momentum, eps=1e-3)  # BUG?: reversed-momentum 0.bn, 1.bn

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def training(momentum):
    model = nn.Sequential(
        ConvBlock(3, 8, momentum), ConvBlock(8, 8, momentum), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def step(batch):
        images, labels = batch
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.rand(8, 3, 8, 8), torch.randint(0, 3, (8,))))


def buggy():
    return training(0.99)


def fixed():
    return training(0.01)
