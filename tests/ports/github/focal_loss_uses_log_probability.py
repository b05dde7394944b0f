"""The focal factor (1 - p)^γ is computed from the log-probability in place of the probability.

Source: HeyLynne/FocalLoss_for_multiclass issue #3 (2021), "Potential BUG": `pt = label_onehot * log_p`, "it should be
label_onehot * p"; the author agrees.
Symptom: easy examples are not damped and hard ones weigh without bound; some report NaN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0, num_classes=4):
        super().__init__()
        self.gamma, self.num_classes = gamma, num_classes

    def focus(self, log_p):
        return log_p  # FAULT

    def forward(self, logits, label):
        log_p = F.log_softmax(logits, dim=1)
        label_onehot = F.one_hot(label, self.num_classes).float()
        pt = (label_onehot * self.focus(log_p)).sum(1)
        loss = -((1 - pt) ** self.gamma) * (label_onehot * log_p).sum(1)
        return loss.mean()


class Probability(FocalLoss):
    def focus(self, log_p):
        return log_p.exp()


def training(criterion):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(batch):
        images, labels = batch
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    images = torch.randn(24, 1, 4, 4)
    return smokestep.Training(step, (images, images.flatten(1)[:, :4].argmax(1)))


def buggy():
    return training(FocalLoss())


def fixed():
    return training(Probability())
