"""The generator is seeded between the forward and the backward pass, so that the next noise is always the same."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def batch():
    return torch.randn(10, 6), torch.randn(10, 2)


def buggy() -> smokestep.Training:
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        noisy = x + 0.1 * torch.randn_like(x)
        loss = F.mse_loss(net(noisy), y)
        torch.manual_seed(7)  # BUG?: repeated-randomness
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


def fixed() -> smokestep.Training:
    torch.manual_seed(7)
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        noisy = x + 0.1 * torch.randn_like(x)
        loss = F.mse_loss(net(noisy), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())
