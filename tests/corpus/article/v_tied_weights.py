"""Tied embeddings: the head is tied after the optimizer was built, which goes on updating the weight that was replaced."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Bigram(nn.Module):
    def __init__(self, vocabulary=11, width=8):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def tie(self):
        self.embed.weight = self.head.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.mix(self.embed(ids))))


def training(model, optimizer):
    ids = torch.randint(0, 11, (4, 9))

    def step(ids):
        optimizer.zero_grad()
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, ids, model=model, optimizer=optimizer)


def buggy():
    model = Bigram()
    parameters = [*model.embed.parameters(), *model.mix.parameters()]
    optimizer = torch.optim.Adam(parameters)  # BUG: stale-optimizer embed.weight
    model.tie()
    return training(model, optimizer)


def fixed():
    model = Bigram()
    model.tie()
    optimizer = torch.optim.Adam([*model.embed.parameters(), *model.mix.parameters()])
    return training(model, optimizer)
