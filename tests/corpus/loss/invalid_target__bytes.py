"""A segmentation mask of 0 and 255, never divided, under `BCEWithLogitsLoss`."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def forward(self, image):
        return self.net(image)


def training(scale):
    model = Segmenter()
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.BCEWithLogitsLoss()
    image, mask = torch.rand(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5) * 255

    def step(batch):
        image, mask = batch
        loss = criterion(model(image), mask.float() / scale)  # BUG: invalid-target
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (image, mask))


def buggy():
    return training(scale=1)


def fixed():
    return training(scale=255)
