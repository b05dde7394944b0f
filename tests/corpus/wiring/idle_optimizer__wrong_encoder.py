"""Two encoders, each with an optimizer of its own; both views go through the first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def encoder(width):
    return nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 8))


def training(encode_text):
    image_encoder, text_encoder = encoder(10), encoder(10)
    optimizers = [
        torch.optim.AdamW(image_encoder.parameters(), lr=1e-3),
        torch.optim.AdamW(text_encoder.parameters(), lr=1e-4),
    ]

    def step(batch):
        images, texts = batch
        first = F.normalize(image_encoder(images), dim=1)
        second = F.normalize(encode_text(image_encoder, text_encoder)(texts), dim=1)
        scores = first @ second.T / 0.1
        labels = torch.arange(len(images))
        loss = (F.cross_entropy(scores, labels) + F.cross_entropy(scores.T, labels)) / 2
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()  # BUG?: idle-optimizer text_encoder.*
        return loss.item()

    return smokestep.Training(step, (torch.randn(12, 10), torch.randn(12, 10)))


def buggy():
    return training(lambda image_encoder, text_encoder: image_encoder)


def fixed():
    return training(lambda image_encoder, text_encoder: text_encoder)
