"""Losses on pairs and triplets that are written sample by sample: for each one of two terms is switched off by a 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy


def encoder() -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 6))


@healthy()
def contrastive_pairs_in_a_loop() -> smokestep.Training:
    """The last bias cancels in the difference of the two embeddings; the zero labels are not why it has no gradient."""
    net = encoder()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(batch):
        left, right, same = batch
        optimizer.zero_grad()
        losses = []
        for distance, label in zip(F.pairwise_distance(net(left), net(right)), same):
            losses.append(label * distance**2 + (1 - label) * F.relu(2.0 - distance) ** 2)
        loss = torch.stack(losses).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randn(16, 12), torch.randn(16, 12), torch.randint(0, 2, (16,)).float()))


@healthy()
def triplets_weighted_one_by_one() -> smokestep.Training:
    """Triplets that count for nothing have the weight 0; the last bias cancels in both differences."""
    net = encoder()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(batch):
        anchors, positives, negatives, weights = batch
        optimizer.zero_grad()
        total = 0.0
        for anchor, positive, negative, weight in zip(net(anchors), net(positives), net(negatives), weights):
            gap = (anchor - positive).pow(2).sum() - (anchor - negative).pow(2).sum()
            total = total + weight * F.softplus(gap)
        total = total / weights.sum()
        total.backward()
        optimizer.step()
        return total.item()

    three = (torch.randn(8, 12) for _ in range(3))
    return smokestep.Training(step, (*three, torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0])))
