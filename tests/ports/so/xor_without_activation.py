"""XOR is learned by two linear layers with nothing between them, which are one linear layer.

Source: Cross Validated 433365, "XOR with neural network"; Schoop et al., UMLAUT, CHI 2021, its error missing
activation.
Symptom: the loss is stuck where all four predictions are one half.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class XOR(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.linear1 = nn.Linear(2, 8)
        self.linear2 = nn.Linear(8, 1)
        self.activation = activation

    def forward(self, x):
        x = self.linear1(x)
        if self.activation:
            x = torch.tanh(x)
        return torch.sigmoid(self.linear2(x))  # FAULT


def training(activation):
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    model = XOR(activation)
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step)


def buggy():
    return training(activation=False)


def fixed():
    return training(activation=True)
