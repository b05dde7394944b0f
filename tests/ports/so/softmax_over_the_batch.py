"""The softmax of a classifier runs over dimension 0, the batch, and not over the classes.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022: softmax
over the wrong axis.
Symptom: the "probabilities" of a sample do not sum to one; what is predicted depends on the rest of the batch.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(64, 50)
        self.fc2 = nn.Linear(50, 10)
        self.log_softmax = nn.LogSoftmax(dim=dim)  # FAULT

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return self.log_softmax(self.fc2(x))  # FAULT


def training(dim):
    digits = load_digits()
    x = torch.tensor(digits.data[:64], dtype=torch.float32) / 16
    y = torch.tensor(digits.target[:64])
    model = Net(dim)
    criterion = nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(dim=0)


def fixed():
    return training(dim=1)
