"""A dropout of 0.9 is written where 0.9 was the probability to keep a unit: nine of ten are dropped.

Source: Schoop et al., UMLAUT, CHI 2021, its warning high dropout rate; class of wrong API usage of Humbatova et
al., ICSE 2020 (TensorFlow 1 asks for the probability to keep).
Symptom: the training accuracy stays far below the validation accuracy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc1 = nn.Linear(256, 128)
        self.fc2 = nn.Linear(128, 10)
        self.drop = nn.Dropout(p)  # FAULT

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.drop(F.relu(self.fc1(x.flatten(1))))  # FAULT
        return self.fc2(x)


def training(p):
    digits = load_digits()
    x = torch.tensor(digits.images[:64], dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target[:64])
    net = Net(p)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        net.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(0.9)


def fixed():
    return training(0.1)
