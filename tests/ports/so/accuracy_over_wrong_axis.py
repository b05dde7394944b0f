"""The accuracy is computed with the largest score of each class over the batch, not of each sample over the classes.

Source: class of wrong performance metric (validation and testing) of Humbatova et al., ICSE 2020.
Symptom: the loss falls and the accuracy stays at chance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


def accuracy(outputs, labels, dim):
    predicted = outputs.argmax(dim=dim)  # FAULT
    return (predicted == labels[: len(predicted)]).float().mean().item()


def training(dim):
    digits = load_digits()
    images = torch.tensor(digits.images[:50], dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target[:50])
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    optimizer = torch.optim.Adam(model.parameters())
    history = []

    def step(batch):
        images, labels = batch
        outputs = model(images)
        loss = F.cross_entropy(outputs, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((loss.item(), accuracy(outputs, labels, dim)))
        return loss.item()

    return smokestep.Training(step, (images, labels))


def buggy():
    return training(dim=0)


def fixed():
    return training(dim=1)
