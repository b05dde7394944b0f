"""A helper that makes a run reproducible is called in the step, and not once before the loop."""

from __future__ import annotations

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def augment(images):
    if random.random() < 0.5:
        images = images.flip(-1)
    return images + torch.from_numpy(np.random.normal(0, 0.1, images.shape)).float()


def training(always):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if not always:
        seed_everything(42)

    def step(batch):
        if always:
            seed_everything(42)  # BUG?: repeated-randomness Python, NumPy, torch
        images, labels = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(augment(images)), labels)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 1, 6, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(always=True)


def fixed():
    return training(always=False)
