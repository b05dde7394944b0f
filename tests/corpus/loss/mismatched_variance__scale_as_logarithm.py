"""An encoder returns the standard deviation, and the divergence takes it for the logarithm of the variance."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def taken_for_logarithm(mu, sigma):
    return -0.5 * torch.mean(torch.sum(1 + sigma - mu**2 - sigma.exp(), dim=1))  # BUG?: mismatched-variance


def of_scale(mu, sigma):
    return -0.5 * torch.mean(torch.sum(1 + 2 * sigma.log() - mu**2 - sigma**2, dim=1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(10, 6), nn.Linear(3, 10)

    def forward(self, x):
        mu, raw = self.encode(x).chunk(2, dim=1)
        sigma = torch.exp(raw)
        return self.decode(mu + sigma * torch.randn_like(sigma)), mu, sigma


def training(divergence):
    net = Net()
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        out, mu, sigma = net(x)
        loss = (out - x).square().sum(dim=1).mean() + divergence(mu, sigma)
        loss.backward()
        optimizer.step()

    return smokestep.Training(step, torch.randn(9, 10))


def buggy():
    return training(taken_for_logarithm)


def fixed():
    return training(of_scale)
