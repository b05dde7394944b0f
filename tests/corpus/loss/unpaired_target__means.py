"""A module of the user's own compares the mean of the batch with the mean of the labels."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class RelativeError(nn.Module):
    def forward(self, prediction, target):
        scale = target.mean()  # BUG?: unpaired-target
        return (prediction.mean() - scale).abs() / (scale.abs() + 1)


class PerSample(nn.Module):
    def forward(self, prediction, target):
        return ((prediction - target).abs() / (target.abs() + 1)).mean()


def training(criterion):
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def train_step(batch):
        opt.zero_grad()
        loss = criterion(net(batch["features"]).squeeze(1), batch["price"])
        loss.backward()
        opt.step()
        return loss

    return smokestep.Training(train_step, {"features": torch.randn(10, 6), "price": torch.rand(10) * 5})


def buggy():
    return training(RelativeError())


def fixed():
    return training(PerSample())
