"""A loop that freezes a pretrained network for fine-tuning leaves only the batch normalisation layers trainable.

Source: PyTorch forum 84911, "Obtaining abnormal changes in loss and accuracy", one of the silent errors of
TrainCheck (Jiang et al., OSDI 2025).
Symptom: loss and accuracy change in an abnormal way; the new classifier is as random as at the start.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class SmallResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(x + self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


def training(what):
    digits = load_digits()
    x = torch.tensor(digits.images[:64], dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target[:64])
    model = SmallResNet()
    model.fc = nn.Linear(8, 10)
    for name, parameter in model.named_parameters():
        if what == "bn":
            parameter.requires_grad = "bn" in name  # FAULT
        else:
            parameter.requires_grad = "bn" in name or "fc" in name
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    def step(batch):
        images, labels = batch
        model.train()
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training("bn")


def fixed():
    return training("bn and fc")
