"""A convolutional encoder whose orthogonal weights get a gain that was meant for a percentage."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Encoder(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(6))
        self.act = nn.LeakyReLU(0.2)
        for conv in self.convs:
            nn.init.orthogonal_(conv.weight, gain=gain)

    def forward(self, x):
        for conv in self.convs:
            x = self.act(conv(x))  # BUG?: exploding-activations convs.5.weight
        return x.mean((2, 3))


class Learner:
    def __init__(self, gain):
        self.encoder = Encoder(gain)
        self.opt = torch.optim.Adam(self.encoder.parameters(), lr=1e-4)
        self.loss = nn.L1Loss()

    def step(self, batch):
        x, y = batch
        self.opt.zero_grad()
        loss = self.loss(self.encoder(x), y)
        loss.backward()
        self.opt.step()
        return loss.item()


def buggy():
    return smokestep.Training(Learner(14.0).step, (torch.randn(4, 6, 8, 8), torch.randn(4, 6)))


def fixed():
    return smokestep.Training(Learner(1.4).step, (torch.randn(4, 6, 8, 8), torch.randn(4, 6)))
