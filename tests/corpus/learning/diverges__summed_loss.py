"""A loss summed over the pixels, with the learning rate of one that is averaged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(reduction):
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 1, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.015)

    def step(images, depth):
        opt.zero_grad(set_to_none=True)
        loss = F.mse_loss(net(images), depth, reduction=reduction)  # BUG?: diverges
        loss.backward()
        opt.step()
        return loss

    images = torch.randn(4, 3, 5, 5)
    return smokestep.Training(lambda batch: step(*batch), (images, images.mean(1, keepdim=True)))


def buggy():
    return training("sum")


def fixed():
    return training("mean")
