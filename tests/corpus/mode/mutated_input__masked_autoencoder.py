"""A masked autoencoder that masks the image it is to restore."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Masked(nn.Module):
    def __init__(self, copy):
        super().__init__()
        self.copy = copy
        self.encode, self.decode = nn.Linear(12, 8), nn.Linear(8, 12)

    def forward(self, image, mask):
        if self.copy:
            image = image.clone()
        image[mask] = 0.0  # BUG?: mutated-input
        return self.decode(F.relu(self.encode(image)))


def restoring(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        image, mask = batch["image"], batch["mask"]
        restored = model(image, mask)
        loss = ((restored - image) ** 2)[mask].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, {"image": torch.rand(8, 12), "mask": torch.rand(8, 12) < 0.4})


def buggy():
    return restoring(Masked(copy=False))


def fixed():
    return restoring(Masked(copy=True))
