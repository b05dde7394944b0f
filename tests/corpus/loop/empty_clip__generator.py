"""`model.parameters()` is kept in a variable: the optimizer took what it had, and the clipping gets nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 12)
        self.lstm = nn.LSTM(12, 16, batch_first=True)
        self.out = nn.Linear(16, 4)

    def forward(self, tokens):
        return self.out(self.lstm(self.embed(tokens))[0])


def training(keep):
    model = Tagger()
    params = keep(model.parameters())
    optimizer = torch.optim.Adam(params, lr=1e-2)

    def step(batch):
        tokens, tags = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens).transpose(1, 2), tags)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, max_norm=5.0)  # BUG: empty-clip
        optimizer.step()
        return loss

    tokens = torch.randint(0, 30, (6, 7))
    return smokestep.Training(step, (tokens, tokens % 4))


def buggy():
    return training(lambda params: params)


def fixed():
    return training(list)
