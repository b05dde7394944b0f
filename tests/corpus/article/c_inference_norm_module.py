"""Batch normalization in inference mode: the model was put in eval mode to print a baseline, and then trained."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def build():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


def training(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    images, labels = torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (images, labels), model=model)


def buggy():
    model = build()
    model.eval()  # BUG: inference-normalization 1
    with torch.no_grad():
        model(torch.randn(2, 1, 8, 8))
    return training(model)


def fixed():
    model = build()
    model.eval()
    with torch.no_grad():
        model(torch.randn(2, 1, 8, 8))
    model.train()
    return training(model)
