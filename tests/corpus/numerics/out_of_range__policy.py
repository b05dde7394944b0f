"""A policy that promises actions between -1 and 1, whose tanh was lost."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def training(*tail):
    policy = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2), *tail)
    with torch.no_grad():
        policy[2].weight.mul_(20)
    optimizer = torch.optim.Adam(policy.parameters())
    states, actions = torch.randn(16, 5), torch.rand(16, 2) * 2 - 1

    def clone(batch):
        states, actions = batch
        output = policy(states)  # BUG: out-of-range
        loss = F.l1_loss(output, actions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(clone, (states, actions), model=policy, output_range=(-1.0, 1.0))


def buggy():
    return training()


def fixed():
    return training(nn.Tanh())
