"""The output layer's `.data` is pointed at the embedding's: one memory, and still two parameters in the optimizer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class TinyLM(nn.Module):
    def __init__(self, through_data):
        super().__init__()
        self.wte = nn.Embedding(30, 12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.lm_head = nn.Linear(12, 30, bias=False)
        nn.init.normal_(self.wte.weight, std=0.02)
        if through_data:
            self.lm_head.weight.data = self.wte.weight.data
        else:
            self.lm_head.weight = self.wte.weight

    def forward(self, ids):
        h = self.wte(ids)
        h = h + self.mlp(h)
        return self.lm_head(h)  # BUG?: untied-weights lm_head.weight


def training(through_data):
    model = TinyLM(through_data)
    opt = torch.optim.Adam(model.parameters(), lr=3e-4)

    def step(ids):
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss.item()

    return smokestep.Training(step, torch.randint(0, 30, (4, 10)))


def buggy():
    return training(True)


def fixed():
    return training(False)
