"""The dataset holds a NumPy generator, which each worker of the loader gets as a copy: all draw the same
augmentations.

Source: Stack Overflow 67180955, one of the silent errors of TrainCheck (Jiang et al., OSDI 2025). There it is the
global generator of NumPy, which PyTorch seeds in each worker since version 1.9; one in the dataset it still does
not.
Symptom: the "random" augmentations repeat from worker to worker, and in every epoch.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

import smokestep


class Augmented(Dataset):
    def __init__(self):
        data = load_digits()
        self.images, self.labels = data.images[:64].astype("float32") / 16, data.target[:64]
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        noise = self.rng.normal(0, 0.2, size=(8, 8)).astype("float32")  # FAULT
        return torch.from_numpy(self.images[index] + noise), int(self.labels[index])


def reseed(worker):
    info = torch.utils.data.get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed)


def training(init):
    loader = DataLoader(
        Augmented(), 16, shuffle=True, num_workers=2, worker_init_fn=init, multiprocessing_context="fork"
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters())

    def epoch():
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return smokestep.Training(epoch)


def buggy():
    return training(None)


def fixed():
    return training(reseed)
