"""A three-layer network whose forward applies the activation after the first layer only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, forget):
        super().__init__()
        self.fc1 = nn.Linear(10, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 5)
        self.dropout = nn.Dropout(0.2)
        self.forget = forget

    def forward(self, x):
        x = self.dropout(F.relu(self.fc1(x)))
        x = self.fc2(x)
        x = self.dropout(x if self.forget else F.relu(x))
        return self.fc3(x)  # BUG?: missing-nonlinearity fc2, fc3


def training(forget):
    net = Net(forget)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randn(16, 10), torch.randint(0, 5, (16,))))


def buggy():
    return training(True)


def fixed():
    return training(False)
