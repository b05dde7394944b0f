"""With a learning rate of 1 and momentum the first updates push all ReLU units below zero, and nothing moves any more.

Source: Zhang et al., AutoTrainer, ICSE 2021, problem "dying ReLU"; explained in PyTorch forum 43814, "Cross Entropy
loss is not decreasing": the weights are almost all negative and their derivatives all zero.
Symptom: after some steps the loss is that of a constant prediction, 2.30, and stays there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def training(lr):
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32)
    y = torch.tensor(digits.target)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)  # FAULT
    start = 0

    def step():
        nonlocal start
        batch, labels = x[start : start + 64] / 16, y[start : start + 64]
        start = (start + 64) % 1728
        optimizer.zero_grad()
        loss = F.cross_entropy(net(batch), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(lr=1.0)


def fixed():
    return training(lr=0.05)
