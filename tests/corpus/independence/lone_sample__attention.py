"""Attention weights squeezed to make a matrix product fit: with one sample the batch is gone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Attentive(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.dims = dims
        self.score, self.head = nn.Linear(5, 1), nn.Linear(5, 2)

    def forward(self, x):
        weights = self.score(x).softmax(1).transpose(1, 2)
        pooled = torch.bmm(weights, x)
        pooled = torch.squeeze(pooled, *self.dims)  # BUG?: lone-sample
        return self.head(pooled)


def training(model, batch, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


def buggy():
    return training(Attentive(()), (torch.randn(8, 6, 5), torch.randint(0, 2, (8,))))


def fixed():
    return training(Attentive((1,)), (torch.randn(8, 6, 5), torch.randint(0, 2, (8,))))
