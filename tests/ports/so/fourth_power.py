"""y = x^4 is learned from x in [-100, 100] without scaling either: the targets reach 1e8.

Source: Stack Overflow 52800582, "Why do I fail to predict y=x**4 with Keras? (y=x**3 works)", in the benchmark of
DeepLocalize (Wardat et al., ICSE 2021).
Symptom: the loss is astronomic and does not come down; the sigmoid of the first layer is saturated.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(scale):
    x = torch.linspace(-100, 100, 200).unsqueeze(1)
    y = x**4  # FAULT
    if scale:
        x = x / 100
        y = (y - y.mean()) / y.std()
    order = torch.randperm(200)[:64]
    model = nn.Sequential(nn.Linear(1, 50), nn.Sigmoid(), nn.Linear(50, 50), nn.ELU(), nn.Linear(50, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    criterion = nn.MSELoss()

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x[order], y[order]))


def buggy():
    return training(scale=False)


def fixed():
    return training(scale=True)
