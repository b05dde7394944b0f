"""A network that ends in a softmax over its single unit, with log and negative log-likelihood by hand: the loss is always 0."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Net(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, outputs)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return torch.softmax(self.fc2(x), dim=-1)  # BUG: single-logit


def nll(probabilities, labels):
    return -torch.log(probabilities[torch.arange(len(labels)), labels]).mean()


def training(outputs, labels):
    model = Net(outputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, labels = batch
        loss = nll(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), labels))


def buggy():
    return training(1, torch.zeros(8, dtype=torch.long))


def fixed():
    return training(2, torch.randint(0, 2, (8,)))
