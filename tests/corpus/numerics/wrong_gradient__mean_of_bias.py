"""A linear layer with a backward of its own, which averages the gradient of the bias where the chain rule sums it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Affine(torch.autograd.Function):
    @staticmethod
    def forward(x, weight, bias):
        return x @ weight.t() + bias

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        return grad @ weight, grad.t() @ x, grad.sum(0)


class AffineByHand(torch.autograd.Function):
    @staticmethod
    def forward(x, weight, bias):
        return x @ weight.t() + bias

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx, grad):  # BUG?: wrong-gradient
        x, weight = ctx.saved_tensors
        return grad @ weight, grad.t() @ x, grad.mean(0)


class Layer(nn.Module):
    def __init__(self, function, inputs, outputs):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-1, 1) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return self.function.apply(x, self.weight, self.bias)


def training(function):
    model = nn.Sequential(Layer(function, 7, 20), nn.GELU(), Layer(function, 20, 3))
    optimizer = torch.optim.AdamW(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(9, 7), torch.randint(0, 3, (9,))))


def buggy():
    return training(AffineByHand)


def fixed():
    return training(Affine)
