"""The four cases of XOR, held by the function that trains on them, and two layers with nothing between."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class XOR(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.hidden = nn.Linear(2, 8)
        self.activation = activation
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        return self.out(self.activation(self.hidden(x)))  # BUG?: missing-nonlinearity


def training(activation):
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    model = XOR(activation)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()

    def train():
        optimizer.zero_grad()
        loss = criterion(model(x), y)  # BUG?: cannot-overfit
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(train)


def buggy():
    return training(nn.Identity())


def fixed():
    return training(nn.Tanh())
