"""Images come in as bytes from 0 to 255."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self, largest):
        super().__init__()
        self.largest = largest
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10), nn.LogSoftmax(dim=1))

    def forward(self, images):
        return self.net(images.float() / self.largest)


def training(largest):
    model, criterion = Classifier(largest), nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = criterion(model(images), labels)  # BUG?: high-initial-loss
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, (torch.randint(0, 256, (16, 3, 4, 4)), torch.randint(0, 10, (16,))))


def buggy():
    return training(1)


def fixed():
    return training(255)
