"""A loss with a gradient of its own, whose author forgot that a softmax normalises."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class SoftmaxSquared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores, target):
        p = scores.softmax(1)
        ctx.save_for_backward(p, target)
        return ((p - target) ** 2).sum() / len(p)

    @staticmethod
    def backward(ctx, grad):
        p, target = ctx.saved_tensors
        error = 2 * (p - target) / len(p)
        return grad * p * (error - (error * p).sum(1, keepdim=True)), None


class WithoutTheSum(SoftmaxSquared):
    @staticmethod
    def backward(ctx, grad):  # BUG?: wrong-gradient
        p, target = ctx.saved_tensors
        error = 2 * (p - target) / len(p)
        return grad * p * error * (1 - p), None


def training(loss_function):
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    targets = torch.eye(4)[torch.randint(0, 4, (10,))]

    def step(batch):
        x, y = batch
        loss = loss_function.apply(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (torch.randn(10, 6), targets))


def buggy():
    return training(WithoutTheSum)


def fixed():
    return training(SoftmaxSquared)
