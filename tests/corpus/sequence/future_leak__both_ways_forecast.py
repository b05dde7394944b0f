"""A forecast of the next value at every step, by a recurrent network that reads the series in both directions."""

import torch
from torch import nn

import smokestep


class Forecaster(nn.Module):
    def __init__(self, both):
        super().__init__()
        self.gru = nn.GRU(3, 10, batch_first=True, bidirectional=both)
        self.head = nn.Linear(20 if both else 10, 3)

    def forward(self, series):
        states, _ = self.gru(series)  # BUG: future-leak
        return self.head(states)


def training(both):
    model = Forecaster(both)
    optimizer = torch.optim.Adam(model.parameters())

    def step(series):
        optimizer.zero_grad()
        loss = ((nn.functional.mse_loss(model(series[:, :-1]), series[:, 1:], reduction="none")).mean(dim=(1, 2))).sum()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(5, 12, 3).cumsum(1))


def buggy():
    return training(True)


def fixed():
    return training(False)
