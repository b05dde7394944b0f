"""A function of one's own updates the network, and the loop that calls it does so once more."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def update(loss, optimizer):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def training(again):
    encoder, decoder = nn.Linear(6, 3), nn.Linear(3, 6)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.05)

    def step(x):
        loss = F.mse_loss(decoder(torch.tanh(encoder(x))), x)
        update(loss, optimizer)
        if again:
            optimizer.step()  # BUG?: repeated-update
        return loss

    return smokestep.Training(step, torch.randn(8, 6), model={"encoder": encoder, "decoder": decoder})


def buggy():
    return training(again=True)


def fixed():
    return training(again=False)
