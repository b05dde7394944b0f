"""Features and labels are shuffled each with an order of its own, so that no sample keeps its label.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022: corrupted
labels.
Symptom: the loss stays at ln(classes), or the network learns by heart and knows nothing of new data.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import smokestep


def batches(apart, size=32):
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    while True:
        order = torch.randperm(len(x))
        x = x[order]
        if apart:
            y = y[torch.randperm(len(y))]  # FAULT
        else:
            y = y[order]
        for start in range(0, len(x) - size + 1, size):
            yield x[start : start + size], y[start : start + size]


def training(apart):
    source = batches(apart)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        x, y = next(source)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(apart=True)


def fixed():
    return training(apart=False)
