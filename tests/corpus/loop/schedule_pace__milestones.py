"""The milestones 30, 60 and 90 of a residual network's ninety epochs, and a scheduler stepped with each batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader, Dataset

import smokestep


class Images(Dataset):
    def __len__(self):
        return 3000

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return torch.randn(1, 6, 6, generator=generator), index % 5


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(x + self.conv(x))
        return self.head(x.mean((2, 3)))


def training(each_batch):
    loader = DataLoader(Images(), batch_size=8, shuffle=True)
    model = Residual()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    scheduler = MultiStepLR(optimizer, milestones=[30, 60, 90], gamma=0.1)
    done = 0

    def step(batch):
        nonlocal done
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        done += 1
        if each_batch or done % len(loader) == 0:
            scheduler.step()  # BUG?: schedule-pace
        return loss

    return smokestep.Training(step, next(iter(loader)))


def buggy():
    return training(True)


def fixed():
    return training(False)
