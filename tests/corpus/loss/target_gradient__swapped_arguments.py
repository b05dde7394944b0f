"""The arguments of the loss are swapped: the network stands where the target belongs."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def training(swap):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.KLDivLoss(reduction="batchmean")
    x, wanted = torch.randn(8, 6), torch.softmax(torch.randn(8, 3), dim=1)

    def step(batch):
        x, wanted = batch
        optimizer.zero_grad()
        if swap:
            loss = criterion(wanted.log(), model(x).softmax(dim=1))  # BUG?: target-gradient
        else:
            loss = criterion(model(x).log_softmax(dim=1), wanted)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, wanted))


def buggy():
    return training(swap=True)


def fixed():
    return training(swap=False)
