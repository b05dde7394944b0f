"""The penalty on the squared weights is far larger than the loss on the data.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022:
overwhelming regularisation.
Symptom: all weights shrink to zero, the prediction is the same for every input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn

import smokestep


def training(strength):
    wine = load_wine()
    x = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0), dtype=torch.float32)
    y = torch.tensor(wine.target)
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        penalty = sum((weight**2).sum() for weight in model.parameters())
        loss = F.cross_entropy(model(x), y) + strength * penalty  # FAULT
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(strength=5.0)


def fixed():
    return training(strength=1e-4)
