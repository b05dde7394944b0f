"""A classifier of padded reviews with attention written by hand: the positional encoding is built and not added."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def sinusoids(length, width):
    angle = torch.arange(length).unsqueeze(1) * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class Review(nn.Module):
    def __init__(self, encode, width=12):
        super().__init__()
        self.encode = encode
        self.words = nn.Embedding(80, width, padding_idx=0)
        self.register_buffer("encoding", sinusoids(64, width), persistent=False)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.classify = nn.Linear(width, 2)

    def forward(self, ids):
        there = ids != 0
        x = self.words(ids)  # BUG?: order-blind
        if self.encode:
            x = x + self.encoding[: ids.shape[1]]
        scores = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(x.shape[-1])
        x = x + scores.masked_fill(~there.unsqueeze(1), -1e9).softmax(-1) @ self.value(x)
        x = x * there.unsqueeze(-1)
        return self.classify(x.sum(1) / there.sum(1, keepdim=True))


class Fit:
    def __init__(self, encode):
        self.model = Review(encode)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def __call__(self, batch):
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(batch["ids"]), batch["label"]).backward()
        self.optimizer.step()


def batch():
    ids = torch.randint(1, 80, (8, 13))
    ids[torch.arange(13) >= torch.tensor([13, 9, 12, 6, 13, 10, 8, 11]).unsqueeze(1)] = 0
    return {"ids": ids, "label": torch.randint(0, 2, (8,))}


def buggy():
    return smokestep.Training(Fit(encode=False), batch())


def fixed():
    return smokestep.Training(Fit(encode=True), batch())
