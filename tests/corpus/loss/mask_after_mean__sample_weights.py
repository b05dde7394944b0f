"""Weights of samples, by which rare ones are to count more, are multiplied with the mean square."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Regression:
    def __init__(self, loss):
        self.net = nn.Sequential(nn.Linear(5, 20), nn.ELU(), nn.Linear(20, 1))
        self.optimizer = torch.optim.AdamW(self.net.parameters())
        self.loss = loss

    def fit(self, batch):
        error = self.net(batch["x"]).squeeze(1) - batch["y"]
        loss = self.loss(error, batch["weight"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def batch():
    return {"x": torch.randn(14, 5), "y": torch.randn(14), "weight": torch.rand(14) + 0.2}


def buggy():
    return smokestep.Training(
        Regression(lambda error, weight: ((error**2).mean() * weight).mean()).fit,  # BUG?: mask-after-mean
        batch(),
    )


def fixed():
    return smokestep.Training(Regression(lambda error, weight: (error**2 * weight).mean()).fit, batch())
