"""An LSTM without batch_first, whose last step is then taken along dimension 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Sensor(nn.Module):
    def __init__(self, **how):
        super().__init__()
        self.lstm = nn.LSTM(4, 8, **how)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        out, _ = self.lstm(x)  # BUG?: batch-leak
        return self.head(out[:, -1])


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Sensor(), (torch.randn(8, 6, 4), torch.randn(8, 1)), F.mse_loss)


def fixed():
    return training(Sensor(batch_first=True), (torch.randn(8, 6, 4), torch.randn(8, 1)), F.mse_loss)
