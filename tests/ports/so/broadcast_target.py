"""The predictions have the shape (batch, 1) and the targets (batch,): the difference is a square of all pairs.

Source: Ben Braiek & Khomh, Testing feedforward neural networks training programs (TheDeepChecker), 2022: a loss that
is computed over a wrong shape by silent broadcasting.
Symptom: the network learns to predict the mean; a warning scrolls by, or none where the loss is written by hand.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = nn.Linear(10, 32)
        self.linear2 = nn.Linear(32, 1)

    def forward(self, x):
        return self.linear2(torch.relu(self.linear1(x)))


def training(squeeze):
    data = load_diabetes()
    x = torch.tensor(data.data, dtype=torch.float32) * 20
    y = torch.tensor((data.target - data.target.mean()) / data.target.std(), dtype=torch.float32)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        prediction = net(x)
        if squeeze:
            prediction = prediction.squeeze(1)
        loss = ((prediction - y) ** 2).mean()  # FAULT
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x[:50], y[:50]))


def buggy():
    return training(squeeze=False)


def fixed():
    return training(squeeze=True)
