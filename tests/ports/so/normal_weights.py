"""The weights of a network of tanh units are drawn from N(0, 1), whatever the width, and the units start saturated.

Source: class of wrong weights initialisation of Humbatova et al., ICSE 2020; the rule on initialisation in NeuraLint
(Nikanjam et al., TOSEM 2021).
Symptom: the loss starts at several times ln 10, the units are saturated from the start.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

import smokestep

SIZES = [64, 256, 128, 10]


def parameters(std):
    weights = []
    for fan_in, fan_out in zip(SIZES, SIZES[1:]):
        scale = 1.0 if std == "one" else fan_in**-0.5
        weight = (scale * torch.randn(fan_in, fan_out)).requires_grad_()  # FAULT
        weights.append((weight, torch.zeros(fan_out, requires_grad=True)))
    return weights


def training(std):
    digits = load_digits()
    x = torch.tensor(digits.data[:100], dtype=torch.float32) / 16
    y = torch.tensor(digits.target[:100])
    layers = parameters(std)
    optimizer = torch.optim.SGD([each for pair in layers for each in pair], lr=0.1)

    def forward(x):
        for weight, bias in layers[:-1]:
            x = torch.tanh(x @ weight + bias)
        weight, bias = layers[-1]
        return x @ weight + bias

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, (x, y))


def buggy():
    return training("one")


def fixed():
    return training("by width")
