"""The gradients are never cleared, so every step adds the new gradient to all those before.

Source: Stack Overflow 60335387, one of the silent errors of TrainCheck (Jiang et al., OSDI 2025).
Symptom: the loss falls at first, then swings and grows.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(clear):
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    y = 3 * x + 0.5 + 0.1 * torch.randn(64, 1)
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step():
        if clear:
            optimizer.zero_grad()
        prediction = model(x)
        loss = criterion(prediction, y)
        loss.backward()  # FAULT
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(clear=False)


def fixed():
    return training(clear=True)
