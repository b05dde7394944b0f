"""Channels, time and frequency are merged with a `view` where a `permute` is needed first: each frame gets bits of
others.

Source: vitrioil/Speech-Separation issue #4 (2021), "Reshaping issue": `input.view(B, -1, 298, 1)` on [batch, 8, 298,
257], "basically this way [...] you are mixing the data".
Symptom: none that is seen; it was mended in the repository it was merged to, without much change in overfitting.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LookingToListen(nn.Module):
    def __init__(self, frames=10, bins=12, channels=4):
        super().__init__()
        self.audio = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.lstm = nn.LSTM(channels * bins, 24, batch_first=True, bidirectional=True)
        self.mask = nn.Linear(48, bins)
        self.frames = frames

    def merged(self, x):
        return x.view(len(x), -1, self.frames, 1).squeeze(3).transpose(1, 2)  # FAULT

    def forward(self, spectrogram):
        x = self.audio(spectrogram.unsqueeze(1))
        x, _ = self.lstm(self.merged(x))
        return torch.sigmoid(self.mask(x)) * spectrogram


class Permuted(LookingToListen):
    def merged(self, x):
        return x.permute(0, 2, 1, 3).reshape(len(x), self.frames, -1)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        mixed, clean = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(mixed), clean)
        loss.backward()
        optimizer.step()
        return loss

    clean = torch.rand(6, 10, 12)
    return smokestep.Training(step, (clean + 0.3 * torch.rand(6, 10, 12), clean))


def buggy():
    return training(LookingToListen())


def fixed():
    return training(Permuted())
