"""Cross attention written with einsum over points in channels-last layout: `bqkh`, whose softmax takes the wrong letter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import einsum, nn

import smokestep


class Decode(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.queries = nn.Linear(4, 32, bias=False)
        self.keys, self.values = nn.Linear(6, 32, bias=False), nn.Linear(6, 32, bias=False)
        self.head = nn.Linear(32, 1)

    def forward(self, where, context):
        q, k, v = (
            each.unflatten(-1, (8, 4)) for each in (self.queries(where), self.keys(context), self.values(context))
        )
        scores = einsum("bqdh,bkdh->bqkh", q, k) * 8**-0.5
        weights = scores.softmax(dim=self.dim)  # BUG?: attention-softmax
        return self.head(einsum("bqkh,bkdh->bqdh", weights, v).flatten(2)).squeeze(-1)


class Trainer:
    def __init__(self, dim):
        self.model = Decode(dim)
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def __call__(self, batch):
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(batch["where"], batch["context"]), batch["value"])
        loss.backward()
        self.optimizer.step()


def batch():
    return {"where": torch.randn(5, 7, 4), "context": torch.randn(5, 9, 6), "value": torch.randn(5, 7)}


def buggy():
    return smokestep.Training(Trainer(dim=1), batch())


def fixed():
    return smokestep.Training(Trainer(dim=2), batch())
