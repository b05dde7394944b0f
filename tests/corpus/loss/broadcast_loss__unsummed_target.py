"""Forces on atoms summed to one number, compared with the forces themselves: their sum over the axes was forgotten."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(summed):
    model = nn.Sequential(nn.Linear(6, 16), nn.SiLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        positions, forces = batch
        work = positions[:, :3] * forces
        if summed:
            work = work.sum(dim=1, keepdim=True)
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(positions), work)  # BUG?: broadcast-loss
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(12, 6), torch.randn(12, 3)))


def buggy():
    return training(summed=False)


def fixed():
    return training(summed=True)
