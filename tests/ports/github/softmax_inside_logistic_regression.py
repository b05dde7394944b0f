"""The loss is the negative log-likelihood of the log-softmax of a softmax.

Source: Lightning-Universe/lightning-bolts issue #654 (2021), "Softmax applied twice when computing loss in
LogisticRegression": `F.nll_loss(F.log_softmax(F.softmax(self.linear(x))), y)`.
Symptom: the differences between classes are pressed together, which slows training; nothing fails.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LogisticRegression(nn.Module):
    def __init__(self, input_dim=20, num_classes=5, l2_strength=1e-3):
        super().__init__()
        self.linear = nn.Linear(input_dim, num_classes)
        self.l2_strength = l2_strength
        self.optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)

    def forward(self, x):
        return F.softmax(self.linear(x), dim=-1)  # FAULT

    def training_step(self, batch):
        x, y = batch
        y_hat = self(x.view(x.size(0), -1))
        loss = F.cross_entropy(y_hat, y, reduction="sum")
        loss = loss + self.l2_strength * self.linear.weight.pow(2).sum()
        loss = loss / x.size(0)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


class Logits(LogisticRegression):
    def forward(self, x):
        return self.linear(x)


def training(model):
    x = torch.randn(40, 4, 5)
    return smokestep.Training(model.training_step, (x, x.sum(2).argmax(1)))


def buggy():
    return training(LogisticRegression())


def fixed():
    return training(Logits())
