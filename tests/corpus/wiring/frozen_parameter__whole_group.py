"""A parameter group with its own learning rate, all of whose parameters were frozen earlier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Finetuner:
    def __init__(self, unfreeze):
        self.encoder = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.head = nn.Linear(12, 3)
        for parameter in self.encoder.parameters():
            parameter.requires_grad = unfreeze
        self.optimizer = torch.optim.AdamW(  # BUG?: frozen-parameter
            [
                {"params": self.encoder.parameters(), "lr": 1e-5},
                {"params": self.head.parameters(), "lr": 1e-3},
            ]
        )

    def fit_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.head(self.encoder(x)), y)
        loss.backward()
        self.optimizer.step()
        return loss


def training(finetuner):
    models = {"encoder": finetuner.encoder, "head": finetuner.head}
    return smokestep.Training(finetuner.fit_batch, (torch.randn(8, 6), torch.randint(0, 3, (8,))), model=models)


def buggy():
    return training(Finetuner(unfreeze=False))


def fixed():
    return training(Finetuner(unfreeze=True))
