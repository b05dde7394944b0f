"""Heads kept in a dict instead of a `ModuleDict`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class MultiHead(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.heads = {task: nn.Linear(12, 1) for task in tasks}  # BUG: unregistered-parameter

    def forward(self, x):
        h = self.trunk(x)
        return {task: head(h) for task, head in self.heads.items()}


class RegisteredHeads(MultiHead):
    def __init__(self, tasks):
        super().__init__(tasks)
        self.heads = nn.ModuleDict({task: nn.Linear(12, 1) for task in tasks})


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = {"x": torch.randn(8, 6), "age": torch.randn(8, 1), "height": torch.randn(8, 1)}

    def step(batch):
        optimizer.zero_grad()
        predicted = model(batch["x"])
        loss = sum(F.mse_loss(predicted[task], batch[task]) for task in ("age", "height"))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch)


def buggy():
    return training(MultiHead(["age", "height"]))


def fixed():
    return training(RegisteredHeads(["age", "height"]))
