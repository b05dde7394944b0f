"""`forward` of a two-stream model reads the image for both streams."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class TwoStream(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Linear(6, 8)
        self.audio = nn.Linear(6, 8)
        self.head = nn.Linear(16, 3)


class ImageTwice(TwoStream):
    def forward(self, image, audio):  # BUG?: ignored-input
        return self.head(torch.relu(torch.cat([self.image(image), self.audio(image)], dim=1)))


class Both(TwoStream):
    def forward(self, image, audio):
        return self.head(torch.relu(torch.cat([self.image(image), self.audio(audio)], dim=1)))


def training(model):
    optimizer = torch.optim.Adam(model.parameters())
    batch = torch.randn(8, 6), torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        image, audio, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(image, audio), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


def buggy():
    return training(ImageTwice())


def fixed():
    return training(Both())
