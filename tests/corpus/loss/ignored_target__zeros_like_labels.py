"""A debugging line was left in: the predictions are compared with zeros of the labels' shape."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def batch():
    return torch.randn(9, 5), torch.randn(9, 1)


def training(left_in: bool) -> smokestep.Training:
    net = nn.Sequential(nn.Linear(5, 18), nn.GELU(), nn.Linear(18, 1))
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)

    def step(data):
        x, y = data
        if left_in:
            y = torch.zeros_like(y)
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)  # BUG?: ignored-target
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch())


def buggy() -> smokestep.Training:
    return training(True)


def fixed() -> smokestep.Training:
    return training(False)
