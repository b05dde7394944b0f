"""A function for one batch builds its own Adam, so its averages begin at zero with every batch."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.fc = nn.Linear(6 * 16, 5)

    def forward(self, x):
        return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))


def configure_optimizer(model, lr):
    return torch.optim.Adam(model.parameters(), lr=lr)  # BUG: recreated-optimizer


def train_on_batch(model, images, labels, optimizer=None):
    optimizer = optimizer or configure_optimizer(model, 3e-4)
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def data():
    return torch.randn(10, 1, 8, 8), torch.randint(0, 5, (10,))


def buggy():
    model = Classifier()
    return smokestep.Training(lambda batch: train_on_batch(model, *batch), data(), model=model)


def fixed():
    model = Classifier()
    optimizer = configure_optimizer(model, 3e-4)
    return smokestep.Training(lambda batch: train_on_batch(model, *batch, optimizer), data(), model=model)
