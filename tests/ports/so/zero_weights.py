"""All weights of a network with a hidden layer start at zero, so all hidden units stay the same one.

Source: Cross Validated 316898, "Choice of initial value for weights in Tensorflow MNIST Tutorial"; class of wrong
weights initialisation of Humbatova et al., ICSE 2020.
Symptom: about 25 % accuracy where random weights give 92 %.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class TwoLayers(nn.Module):
    def __init__(self, zeros):
        super().__init__()
        self.W1 = nn.Parameter(torch.zeros(64, 100) if zeros else torch.randn(64, 100) / 8)  # FAULT
        self.b1 = nn.Parameter(torch.zeros(100))
        self.W2 = nn.Parameter(torch.zeros(100, 10) if zeros else torch.randn(100, 10) / 10)  # FAULT
        self.b2 = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        h1 = torch.sigmoid(x @ self.W1 + self.b1)
        return h1 @ self.W2 + self.b2


def training(zeros):
    digits = load_digits()
    x = torch.tensor(digits.data[:100], dtype=torch.float32) / 16
    y = torch.tensor(digits.target[:100])
    model = TwoLayers(zeros)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(zeros=True)


def fixed():
    return training(zeros=False)
