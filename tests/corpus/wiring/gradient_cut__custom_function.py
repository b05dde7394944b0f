"""A custom autograd function whose backward gives None for the input that carries the gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


class Broken(Scale):
    @staticmethod
    def backward(ctx, gradient):
        return None, None


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first = nn.Linear(6, 12)
        self.second = nn.Linear(12, 3)
        self.function = function

    def forward(self, x):
        h = self.function.apply(self.first(x), 0.5)  # BUG: gradient-cut first.*
        return self.second(h)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training(Net(Broken))


def fixed():
    return training(Net(Scale))
