"""A binary classifier whose head keeps the tanh of its hidden layers, trained by the loss that takes logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Detector(nn.Module):
    def __init__(self, bounded):
        super().__init__()
        self.hidden = nn.Linear(6, 20)
        self.score = nn.Linear(20, 1)
        self.bounded = bounded

    def forward(self, x):
        score = self.score(torch.tanh(self.hidden(x)))
        if self.bounded:
            score = torch.tanh(score)  # BUG?: clipped-logits
        return score.squeeze(-1)


def train_step(net, optimizer, x, y):
    loss = F.binary_cross_entropy_with_logits(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def training(bounded):
    net = Detector(bounded)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    return smokestep.Training(
        lambda batch: train_step(net, optimizer, *batch), (torch.randn(16, 6), torch.randint(0, 2, (16,)).float())
    )


def buggy():
    return training(True)


def fixed():
    return training(False)
