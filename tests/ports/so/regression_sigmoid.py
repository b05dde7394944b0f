"""A network that is to predict sums between 0 and 20 ends in a sigmoid and cannot say more than 1.

Source: Stack Overflow 48221692 in the benchmarks of DeepLocalize (Wardat et al., ICSE 2021) and deepmufl (Ghanbari
et al., ASE 2023), which files it under regression, final layer sigmoid.
Symptom: the outputs press against 1 and the loss stops far above zero.
"""

from __future__ import annotations

import torch
from torch import nn

import smokestep


def build(bounded):
    layers = [nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)]
    if bounded:
        layers.append(nn.Sigmoid())  # FAULT
    return nn.Sequential(*layers)


def training(bounded):
    x = torch.randint(0, 11, (128, 2)).float()
    y = x.sum(dim=1, keepdim=True)
    net = build(bounded)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    mse = nn.MSELoss()

    def step(batch):
        numbers, total = batch
        guess = net(numbers)  # FAULT
        loss = mse(guess, total)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training(bounded=True)


def fixed():
    return training(bounded=False)
