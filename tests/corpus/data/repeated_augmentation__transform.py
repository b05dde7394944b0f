"""A transform inside of a subset of a data set owns a `random.Random`, with four persistent workers."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Flip:
    def __init__(self, seed=None):
        self.chance = random.Random(seed) if seed is not None else random  # BUG?: repeated-augmentation

    def __call__(self, image):
        return image.flip(-1) if self.chance.random() < 0.5 else image


class Images(torch.utils.data.Dataset):
    def __init__(self, transforms):
        self.images, self.labels = torch.randn(32, 1, 6, 6), torch.randint(0, 3, (32,))
        self.transforms = transforms

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        for transform in self.transforms:
            image = transform(image)
        return image, self.labels[index]


def training(flip):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    data = torch.utils.data.Subset(Images([flip]), range(24))
    loader = torch.utils.data.DataLoader(data, 8, num_workers=4, persistent_workers=True)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    step.data = loader
    return smokestep.Training(step, (torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(Flip(seed=1))


def fixed():
    return training(Flip())
