"""A soft intersection over union of all classes is returned as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Overlap(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def both(self, logits, labels):
        shares = logits.softmax(1)
        truth = F.one_hot(labels, self.classes).movedim(-1, 1).float()
        return (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))

    def forward(self, logits, labels):
        common, both = self.both(logits, labels)
        return (common / (both - common)).mean()  # BUG?: inverted-loss


class Distance(Overlap):
    def forward(self, logits, labels):
        common, both = self.both(logits, labels)
        return 1 - (common / (both - common)).mean()


def training(criterion):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(batch):
        optimizer.zero_grad()
        loss = criterion(net(batch["image"]), batch["mask"])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, {"image": torch.randn(3, 3, 6, 6), "mask": torch.randint(0, 4, (3, 6, 6))})


def buggy():
    return training(Overlap(4))


def fixed():
    return training(Distance(4))
