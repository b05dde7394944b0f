"""The squared error written by hand: [B] minus [B, 1] is [B, B]."""

from __future__ import annotations

import torch

import smokestep


def training(target_shape):
    weight, bias = torch.randn(6, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=0.01)
    x, y = torch.randn(8, 6), torch.randn(*target_shape)

    def step(batch):
        x, y = batch
        prediction = x @ weight + bias
        loss = ((prediction - y) ** 2).mean()  # BUG: broadcast-loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))


def buggy():
    return training((8, 1))


def fixed():
    return training((8,))
