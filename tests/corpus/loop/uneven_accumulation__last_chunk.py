"""A batch that does not fit into memory is cut into chunks, of which the last holds one sample."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(weighted):
    net = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 2))
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    loss_fn = nn.SmoothL1Loss()

    def train(batch):
        inputs, targets = batch
        opt.zero_grad()
        chunks = list(zip(inputs.split(4), targets.split(4), strict=True))
        for x, y in chunks:
            share = len(x) / len(inputs) if weighted else 1 / len(chunks)
            loss = loss_fn(net(x), y) * share  # BUG?: uneven-accumulation
            loss.backward()
        opt.step()

    return smokestep.Training(train, (torch.randn(9, 3), torch.randn(9, 2)))


def buggy():
    return training(weighted=False)


def fixed():
    return training(weighted=True)
