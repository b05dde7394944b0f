"""The positional encoding for time-first input, added to input that has the batch first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class PositionalEncoding(nn.Module):
    def __init__(self, width, length=32):
        super().__init__()
        angle = torch.arange(length).unsqueeze(1) * torch.exp(torch.arange(0, width, 2) * -0.5)
        table = torch.zeros(length, 1, width)
        table[:, 0, 0::2], table[:, 0, 1::2] = angle.sin(), angle.cos()
        self.register_buffer("pe", table)

    def forward(self, x):
        return x + self.pe[: x.size(0)]  # BUG: batch-order


class Encoder(nn.Module):
    def __init__(self, swap):
        super().__init__()
        self.swap = swap
        self.embed, self.positions = nn.Embedding(20, 8), PositionalEncoding(8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, ids):
        h = self.embed(ids)
        h = self.positions(h.transpose(0, 1)).transpose(0, 1) if self.swap else self.positions(h)
        return self.head(self.encoder(h).mean(1))


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
    return training(Encoder(False), (torch.randint(0, 20, (8, 6)), torch.randint(0, 3, (8,))))


def fixed():
    return training(Encoder(True), (torch.randint(0, 20, (8, 6)), torch.randint(0, 3, (8,))))
