"""A log-softmax over a head of one unit, in a functional model."""

from __future__ import annotations

import torch
import torch.nn.functional as F

import smokestep


def parameters(outputs):
    return [torch.randn(6, 8, requires_grad=True), torch.randn(8, outputs, requires_grad=True)]


def forward(weights, x):
    return F.log_softmax(torch.tanh(x @ weights[0]) @ weights[1], dim=-1)  # BUG: single-logit


def training(outputs, y):
    weights = parameters(outputs)
    optimizer = torch.optim.SGD(weights, lr=0.1)

    def step(batch):
        x, y = batch
        loss = F.nll_loss(forward(weights, x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), y))


def buggy():
    return training(1, torch.zeros(8, dtype=torch.long))


def fixed():
    return training(2, torch.randint(0, 2, (8,)))
