"""Plain SGD with a learning rate of 1e-6.

Source: Cao et al., DeepFD, ICSE 2022, one of its five kinds of fault, improper learning rate; class of suboptimal
learning rate of Humbatova et al., ICSE 2020.
Symptom: the loss does not change in the digits that are printed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Trainer:
    def __init__(self, lr):
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)  # FAULT

    def fit_batch(self, batch):
        images, labels = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def training(lr):
    digits = load_digits()
    images = torch.tensor(digits.images[:64], dtype=torch.float32) / 16
    return smokestep.Training(Trainer(lr).fit_batch, (images, torch.tensor(digits.target[:64])))


def buggy():
    return training(1e-6)


def fixed():
    return training(0.05)
