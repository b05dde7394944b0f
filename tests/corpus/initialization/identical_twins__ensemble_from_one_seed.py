"""An ensemble whose members are each built after the same seed is set, for the sake of reproducibility."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Ensemble(nn.Module):
    def __init__(self, size, reseed):
        super().__init__()
        members = []
        for _ in range(size):
            if reseed:
                torch.manual_seed(0)
            members.append(nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1)))
        self.members = nn.ModuleList(members)  # BUG?: identical-twins members.*

    def forward(self, x):
        return torch.stack([member(x) for member in self.members])


def training(reseed):
    ensemble = Ensemble(3, reseed)
    optimizer = torch.optim.SGD(ensemble.parameters(), lr=0.05)

    def step(batch):
        x, y = batch
        predictions = ensemble(x)
        loss = F.mse_loss(predictions, y.expand_as(predictions))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 5), torch.randn(12, 1)))


def buggy():
    return training(True)


def fixed():
    return training(False)
