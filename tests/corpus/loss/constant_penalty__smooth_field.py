"""A regression with a penalty on the slope of what was learned, whose slope has no graph."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Surface:
    def __init__(self, **options):
        self.net = nn.Sequential(nn.Linear(2, 24), nn.Softplus(), nn.Linear(24, 1))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=3e-3)
        self.options = options

    def slope(self, points, height):
        return torch.autograd.grad(height.sum(), points, **self.options)[0]  # BUG: constant-penalty

    def fit(self, batch):
        points, measured = batch
        points = points.clone().requires_grad_()
        height = self.net(points).squeeze(-1)
        roughness = self.slope(points, height).square().sum(-1).mean()
        loss = F.mse_loss(height, measured)
        loss += 0.1 * roughness
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def buggy():
    return smokestep.Training(Surface(retain_graph=True).fit, (torch.rand(20, 2), torch.randn(20)))


def fixed():
    return smokestep.Training(Surface(create_graph=True).fit, (torch.rand(20, 2), torch.randn(20)))
