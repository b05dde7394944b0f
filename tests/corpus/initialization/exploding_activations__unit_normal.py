"""Every weight of a deep regression network is drawn from the unit normal distribution by a hook."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Model(nn.Module):
    def __init__(self, wide):
        super().__init__()
        self.body = nn.Sequential(*(nn.Sequential(nn.Linear(48, 48), nn.ReLU()) for _ in range(6)))
        self.out = nn.Linear(48, 1)
        self.apply(self._wide if wide else self._init)

    @staticmethod
    def _wide(module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)

    @staticmethod
    def _init(module):
        if isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")

    def forward(self, x):
        x = self.body(x)  # BUG?: exploding-activations out.weight
        return self.out(x)


def training(wide):
    model = Model(wide)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(16, 48), torch.randn(16, 1)))


def buggy():
    return training(True)


def fixed():
    return training(False)
