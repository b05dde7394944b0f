"""Weights kept in bfloat16 stand still under small updates: every gradient is there, and rounding loses each step."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def network():
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.sign() * parameter.abs().clamp(min=0.1))
    return model


def buggy():
    model = network().to(torch.bfloat16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    x, y = torch.randn(16, 8, dtype=torch.bfloat16), torch.randn(16, 1, dtype=torch.bfloat16)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()  # BUG: lost-update 0.*, 2.*
        return loss

    return smokestep.Training(step, (x, y))


def fixed():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    x, y = torch.randn(16, 8), torch.randn(16, 1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(x)
        loss = nn.functional.mse_loss(output.float(), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (x, y))
