"""A yes-or-no classifier with one output under softmax cross-entropy: the loss is 0 whatever the network says."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Classifier(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.hidden = nn.Linear(10, 16)
        self.out = nn.Linear(16, outputs)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def batch():
    return torch.randn(8, 10), torch.zeros(8, dtype=torch.long)


def buggy():
    model = Classifier(outputs=1)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)  # BUG: single-logit
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


def fixed():
    model = Classifier(outputs=1)
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y.float())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10), torch.randint(0, 2, (8,))))
