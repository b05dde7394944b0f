"""Batch normalization in inference mode: `F.batch_norm` normalises with the stored statistics unless it is told to train."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Norm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("var", torch.ones(features))


class DefaultNorm(Norm):
    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, self.weight, self.bias)  # BUG: inference-normalization


class TrainingNorm(Norm):
    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, training=self.training)


def training(norm):
    model = nn.Sequential(nn.Linear(12, 16), norm(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = torch.randn(16, 12), torch.randint(0, 3, (16,))

    def step(batch):
        x, y = batch
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(DefaultNorm)


def fixed():
    return training(TrainingNorm)
