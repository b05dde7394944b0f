"""A softmax stands as the activation of a hidden layer, and binds its units to a sum of one.

Source: the rules on activations in NeuraLint (Nikanjam et al., TOSEM 2021); class of wrong type of activation
function of Humbatova et al., ICSE 2020.
Symptom: learns far more slowly than with a sigmoid or a ReLU, and worse.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


class OneHidden(nn.Module):
    def __init__(self, soft):
        super().__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc2 = nn.Linear(100, 10)
        self.soft = soft

    def forward(self, x):
        h = self.fc1(x)
        if self.soft:
            h = F.softmax(h, dim=1)  # FAULT
        else:
            h = F.relu(h)
        return self.fc2(h)


def training(soft):
    digits = load_digits()
    x = torch.tensor(digits.data[:128], dtype=torch.float32) / 16
    y = torch.tensor(digits.target[:128])
    model = OneHidden(soft)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(soft=True)


def fixed():
    return training(soft=False)
