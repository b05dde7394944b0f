"""A whole checkpoint handed over instead of the weights in it."""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def save(model, optimizer):
    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, buffer)
    buffer.seek(0)
    return buffer


def net():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def checkpoint():
    model = net()
    return torch.load(save(model, torch.optim.Adam(model.parameters())), weights_only=False)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    model = net()
    model.load_state_dict(checkpoint(), strict=False)  # BUG: loose-loading
    return training(model)


def fixed():
    model = net()
    model.load_state_dict(checkpoint()["model"], strict=False)
    return training(model)
