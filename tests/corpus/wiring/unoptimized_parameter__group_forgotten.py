"""Parameter groups written out by hand, of which one layer is missing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = self.build_optimizer()

    def build_optimizer(self):
        groups = [
            {"params": self.model.embed.parameters(), "lr": 1e-2},
            {"params": self.model.rnn.parameters()},
        ]
        return torch.optim.Adam(groups, lr=1e-3)  # BUG: unoptimized-parameter out.weight, out.bias

    def train_batch(self, batch):
        ids, labels = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(ids), labels)
        loss.backward()
        self.optimizer.step()
        return loss


class AllGroups(Trainer):
    def build_optimizer(self):
        groups = [
            {"params": self.model.embed.parameters(), "lr": 1e-2},
            {"params": [*self.model.rnn.parameters(), *self.model.out.parameters()]},
        ]
        return torch.optim.Adam(groups, lr=1e-3)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.rnn = nn.GRU(6, 8, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, ids):
        _, last = self.rnn(self.embed(ids))
        return self.out(last[0])


def training(trainer):
    return smokestep.Training(trainer.train_batch, (torch.randint(0, 20, (4, 5)), torch.randint(0, 2, (4,))))


def buggy():
    return training(Trainer(Reader()))


def fixed():
    return training(AllGroups(Reader()))
