"""Episodes are put into a batch by expanding the first one instead of stacking them all."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 12, batch_first=True)
        self.out = nn.Linear(12, 1)

    def forward(self, series):
        hidden, _ = self.rnn(series)
        return self.out(hidden[:, -1])


def expanded(series):
    return series[0].unsqueeze(0).expand(len(series), -1, -1)


class Learner:
    def __init__(self, collate):
        self.collate = collate
        self.net = Forecast()
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)

    def update(self, episodes):
        series = self.collate([each["series"] for each in episodes])
        goal = torch.stack([each["next"] for each in episodes]).unsqueeze(1)
        self.optimizer.zero_grad()
        loss = self.criterion(self.net(series), goal)  # BUG?: constant-input
        loss.backward()
        self.optimizer.step()
        return loss


def training(collate):
    episodes = [{"series": torch.randn(6, 3), "next": torch.randn(())} for _ in range(9)]
    return smokestep.Training(Learner(collate).update, episodes)


def buggy():
    return training(expanded)


def fixed():
    return training(torch.stack)
