"""Adam with a learning rate of 1.

Source: Cao et al., DeepFD, ICSE 2022, one of its five kinds of fault, improper learning rate; class of suboptimal
learning rate of Humbatova et al., ICSE 2020.
Symptom: the loss jumps up and down far above where it began.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

import smokestep


def training(lr):
    wine = load_wine()
    x = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
    y = torch.tensor(wine.target)
    model = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)  # FAULT

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(lr=1.0)


def fixed():
    return training(lr=0.001)
