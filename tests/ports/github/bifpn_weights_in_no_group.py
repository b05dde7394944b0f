"""The optimizer's groups are collected by module type, and the fusion weights of the BiFPN, bare parameters, fall in
none.

Source: bubbliiing/efficientdet-pytorch issue #37 (2022): the weights stay at [1, 1] though they get gradients; they
were "not in optimizer.param_groups", because that training script filters.
Symptom: `w` is still [1, 1] in the trained model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class BiFPN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
        self.up, self.down = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)

    @staticmethod
    def fused(w, first, second):
        weight = F.relu(w)
        weight = weight / (weight.sum() + 1e-4)
        return F.silu(weight[0] * first + weight[1] * second)

    def forward(self, p3, p4):
        p3 = self.up(self.fused(self.w1, p3, F.interpolate(p4, scale_factor=2)))
        p4 = self.down(self.fused(self.w2, p4, F.max_pool2d(p3, 2)))
        return p3, p4


class Detector(nn.Module):
    def __init__(self, channels=12):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.SiLU())
        self.next = nn.Sequential(nn.Conv2d(channels, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.SiLU())
        self.neck = BiFPN(channels)
        self.head = nn.Conv2d(channels, 5, 1)

    def forward(self, x):
        p3 = self.stem(x)
        return [self.head(p).flatten(2) for p in self.neck(p3, self.next(p3))]


def groups(model, everything):
    pg0, pg1, pg2 = [], [], []
    for module in model.modules():
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            pg2.append(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            pg0.append(module.weight)
        elif isinstance(getattr(module, "weight", None), nn.Parameter):
            pg1.append(module.weight)
    if everything:
        known = {id(p) for p in pg0 + pg1 + pg2}
        pg0 += [p for p in model.parameters() if id(p) not in known]
    return [{"params": pg0}, {"params": pg1, "weight_decay": 5e-4}, {"params": pg2}]


def training(everything):
    model = Detector()
    optimizer = torch.optim.Adam(groups(model, everything), lr=1e-3)  # FAULT

    def fit_one_batch(batch):
        images, targets = batch
        optimizer.zero_grad()
        loss = F.mse_loss(torch.cat(model(images), dim=2), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(fit_one_batch, (torch.rand(4, 3, 16, 16), torch.rand(4, 5, 64 + 16)))


def buggy():
    return training(everything=False)


def fixed():
    return training(everything=True)
