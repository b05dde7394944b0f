"""Predictions are collected for a metric at the end of the epoch, each with the graph that made it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 12, batch_first=True)
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        _, last = self.gru(x)
        return self.head(last[-1]).squeeze(-1)


def training(keep):
    model = Encoder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    predictions, truth = [], []

    def step(batch):
        x, y = batch
        logits = model(x)
        probabilities = torch.sigmoid(logits)  # BUG?: growing-graph
        predictions.append(keep(probabilities))
        truth.append(y)
        loss = F.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 5, 6), (torch.rand(10) > 0.5).float()))


def buggy():
    return training(lambda values: values)


def fixed():
    return training(lambda values: values.detach().cpu())
