"""Ten classes are learned with one output unit and binary cross entropy on the class number.

Source: Data Science Stack Exchange 38604, "Too low accuracy on MNIST dataset using a neural network".
Symptom: the loss is negative (-55) and does not change after the first epoch; the accuracy is 11 %.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import smokestep


def digits():
    data = load_digits()
    return torch.tensor(data.data[:128], dtype=torch.float32) / 16, torch.tensor(data.target[:128])


def buggy():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x).squeeze(1), y.float())  # FAULT
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, digits())


def fixed():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, digits())
