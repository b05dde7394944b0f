"""The cross entropy is written out with the logarithm of a softmax, which underflows to zero for sure predictions.

Source: Stack Overflow 33712178, "tensorflow-nan-bug", under which Zhang et al., An empirical study on TensorFlow
program bugs, ISSTA 2018, and Humbatova et al., ICSE 2020, are cited by a catalogue of code smells (log parameter
approaching zero).
Symptom: the training goes well for thousands of steps, then loss and weights are NaN from one step to the next.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        h = torch.max_pool2d(torch.relu(self.conv(x)), 2)
        return self.fc(h.flatten(1))


def training(stable):
    data = load_digits()
    x = torch.tensor(data.images[:50], dtype=torch.float32).unsqueeze(1) / 16
    y_ = torch.nn.functional.one_hot(torch.tensor(data.target[:50]), 10).float()
    net = ConvNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        x, y_ = batch
        optimizer.zero_grad()
        if stable:
            cross_entropy = -(y_ * torch.log_softmax(net(x), dim=1)).sum()
        else:
            y_conv = torch.softmax(net(x), dim=1)
            cross_entropy = -(y_ * torch.log(y_conv)).sum()  # FAULT
        cross_entropy.backward()
        optimizer.step()
        return cross_entropy.item()

    return smokestep.Training(step, (x, y_))


def buggy():
    return training(stable=False)


def fixed():
    return training(stable=True)
