"""Supervised contrastive learning by hand: the denominators add up every sample, itself included."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def all_others(size):
    return 1 - torch.eye(size)


def sup_con(features, labels, others, temperature=0.1):
    similar = features @ features.T / temperature  # BUG?: self-similarity
    similar = similar - similar.max(dim=1, keepdim=True).values.detach()
    same = (labels.unsqueeze(0) == labels.unsqueeze(1)).float() * all_others(len(labels))
    weights = torch.exp(similar)
    if others is not None:
        weights = weights * others(len(labels))
    log_prob = similar - torch.log(weights.sum(dim=1, keepdim=True) + 1e-12)
    return -((same * log_prob).sum(1) / same.sum(1).clamp(min=1)).mean()


def training(others):
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(batch):
        x, labels = batch
        optimizer.zero_grad()
        loss = sup_con(F.normalize(model(x), dim=-1), labels, others)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 6), torch.arange(12) % 3))


def buggy():
    return training(None)


def fixed():
    return training(all_others)
