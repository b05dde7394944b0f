"""Two optimizers, and the same one is cleared twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(clear):
    encoder, decoder = nn.Linear(6, 3), nn.Linear(3, 6)
    encoder_optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    decoder_optimizer = torch.optim.SGD(decoder.parameters(), lr=0.1)
    second = decoder_optimizer if clear == "both" else encoder_optimizer

    def step(x):
        encoder_optimizer.zero_grad()
        second.zero_grad()
        loss = F.mse_loss(decoder(torch.tanh(encoder(x))), x)
        loss.backward()  # BUG: stale-gradients
        encoder_optimizer.step()
        decoder_optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(8, 6), model={"encoder": encoder, "decoder": decoder})


def buggy():
    return training("encoder twice")


def fixed():
    return training("both")
