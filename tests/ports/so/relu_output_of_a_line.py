"""The line y = 2x - 1 is learned from x = -1 ... 5 with a ReLU on the output, which cannot be negative.

Source: deeplearning.ai forum 324182, "Loss values do not change"; the class of regression, final layer relu (Stack
Overflow 59758722) of deepmufl (Ghanbari et al., ASE 2023).
Symptom: in most runs the loss does not change at all, in the others it stops at a specific value.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(*last):
    x = torch.tensor([[-1.0], [0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    y = torch.tensor([[-3.0], [-1.0], [1.0], [3.0], [5.0], [7.0], [9.0]])
    model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 1), *last)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    def step(data):
        inputs, wanted = data
        optimizer.zero_grad()
        loss = criterion(model(inputs), wanted)  # FAULT
        loss.backward()
        optimizer.step()
        return float(loss)

    return smokestep.Training(step, (x, y))


def buggy():
    return training(nn.ReLU())  # FAULT


def fixed():
    return training()
