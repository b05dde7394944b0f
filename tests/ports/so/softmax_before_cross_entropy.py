"""The network ends in a softmax, and `CrossEntropyLoss`, which expects logits, applies another one.

Source: PyTorch forum 43814, "Cross Entropy loss is not decreasing", first of its solutions.
Symptom: the loss stays where it is at chance and moves up and down in a small range.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, softmax):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, 10)
        self.softmax = softmax

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        x = self.fc2(x)
        if self.softmax:
            x = F.softmax(x, dim=1)  # FAULT
        return x


def training(softmax):
    digits = load_digits()
    images = torch.tensor(digits.images[:64], dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target[:64])
    net = Net(softmax)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step(batch):
        inputs, labels = batch
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (images, labels))


def buggy():
    return training(softmax=True)


def fixed():
    return training(softmax=False)
