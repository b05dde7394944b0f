"""The optimizer is given the input tensor instead of the parameters, so the input is trained and the model is not.

Source: Stack Overflow 69284837.
Symptom: the loss falls, and the model is as bad on new data as at the beginning.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(wrong):
    x = torch.rand(32, 3, requires_grad=True)
    y = (x.detach() * torch.tensor([1.0, -2.0, 0.5])).sum(1, keepdim=True)
    model = nn.Sequential(nn.Linear(3, 10), nn.ReLU(), nn.Linear(10, 1))
    criterion = nn.MSELoss()
    if wrong:
        optimizer = torch.optim.SGD([x], lr=0.1)  # FAULT
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        y_pred = model(x)
        loss = criterion(y_pred, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(wrong=True)


def fixed():
    return training(wrong=False)
