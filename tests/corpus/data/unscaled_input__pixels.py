"""Images as they come out of a decoder, bytes with the channels last, go into the first convolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        h = F.relu(self.conv(x))  # BUG?: unscaled-input conv.weight
        return self.fc(h.mean((2, 3)))


def training(scaled):
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.randint(0, 256, (8, 12, 12, 3), dtype=torch.uint8)

    def step(batch):
        images, labels = batch
        x = images.permute(0, 3, 1, 2).float()
        if scaled:
            x = x / 127.5 - 1
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (images, torch.randint(0, 4, (8,))))


def buggy():
    return training(False)


def fixed():
    return training(True)
