"""Adapters are made in the type of the frozen body they sit in, float16, and trained with RMSprop."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Adapted(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.body = nn.Linear(12, 12).half().requires_grad_(False)
        self.down = nn.Linear(12, 3, dtype=dtype)
        self.up = nn.Linear(3, 12, dtype=dtype)

    def forward(self, x):
        hidden = self.body(x.half())
        return hidden.float() + self.up(self.down(hidden.to(self.down.weight.dtype))).float()


def training(dtype):
    model = Adapted(dtype)
    adapters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.RMSprop(adapters, lr=1e-4)  # BUG: half-epsilon

    def step(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch["features"]), batch["goal"])
        loss.backward()
        optimizer.step()
        return loss

    batch = {"features": 0.01 * torch.randn(8, 12), "goal": 0.01 * torch.randn(8, 12)}
    return smokestep.Training(step, batch)


def buggy():
    return training(torch.float16)


def fixed():
    return training(torch.float32)
