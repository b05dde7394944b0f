"""exp(-x) written by hand, with the sign of its derivative forgotten."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Decay(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.exp(-x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return -grad * y


class Careless(Decay):
    @staticmethod
    def backward(ctx, grad):  # BUG: wrong-gradient
        (y,) = ctx.saved_tensors
        return grad * y


decay, careless = Decay.apply, Careless.apply


class Kernel(nn.Module):
    def __init__(self, decay):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(12, 5))
        self.out = nn.Linear(12, 2)
        self.decay = decay

    def forward(self, x):
        return self.out(self.decay(torch.cdist(x, self.centres)))


def training(function):
    model = Kernel(function)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 5), torch.randn(8, 2)))


def buggy():
    return training(careless)


def fixed():
    return training(decay)
