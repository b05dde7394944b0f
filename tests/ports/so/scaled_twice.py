"""The pixels are divided by 255 when the data is loaded and once more in front of the network.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022: redundant
data normalisation.
Symptom: all images are nearly black; the loss comes down very slowly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, divide):
        super().__init__()
        self.divide = divide
        self.conv = nn.Conv2d(1, 16, 3)
        self.fc = nn.Linear(16 * 36, 10)

    def forward(self, x):
        if self.divide:
            x = x / 255.0  # FAULT
        return self.fc(F.relu(self.conv(x)).flatten(1))


def training(divide):
    digits = load_digits()
    pixels = torch.tensor(digits.images * 255 / 16).byte().unsqueeze(1)
    images = pixels[:64].float() / 255.0
    labels = torch.tensor(digits.target[:64])
    net = Net(divide)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (images, labels))


def buggy():
    return training(divide=True)


def fixed():
    return training(divide=False)
