"""The losses of a batch are collected as numbers and made into a new tensor that requires a gradient.

Source: class of wrong loss function calculation of Humbatova et al., ICSE 2020; the usual way out of "element 0 of
tensors does not require grad" in questions on Stack Overflow.
Symptom: no error any more, and a loss that only moves with the data.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))

    def forward(self, left, right):
        return F.pairwise_distance(self.body(left), self.body(right))


def training(anew):
    left, right = torch.randn(16, 12), torch.randn(16, 12)
    same = torch.randint(0, 2, (16,)).float()
    net = Siamese()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

    def step(batch):
        left, right, same = batch
        optimizer.zero_grad()
        losses = []
        for distance, label in zip(net(left, right), same):
            losses.append(label * distance**2 + (1 - label) * F.relu(2.0 - distance) ** 2)
        if anew:
            loss = torch.tensor([each.item() for each in losses], requires_grad=True).mean()  # FAULT
        else:
            loss = torch.stack(losses).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (left, right, same))


def buggy():
    return training(anew=True)


def fixed():
    return training(anew=False)
