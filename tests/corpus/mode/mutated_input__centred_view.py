"""Points centred in place, on a view of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.point = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16))
        self.head = nn.Linear(16, 3)


class InPlace(PointNet):
    def forward(self, points):
        xyz = points[..., :3]
        xyz -= xyz.mean(1, keepdim=True)  # BUG?: mutated-input
        return self.head(self.point(points).amax(1))


class Copying(PointNet):
    def forward(self, points):
        xyz = points[..., :3]
        points = torch.cat([xyz - xyz.mean(1, keepdim=True), points[..., 3:]], dim=-1)
        return self.head(self.point(points).amax(1))


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 10, 4), torch.randint(0, 3, (8,))))


def buggy():
    return training(InPlace())


def fixed():
    return training(Copying())
