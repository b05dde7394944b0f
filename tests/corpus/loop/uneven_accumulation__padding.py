"""Micro-batches of one shape that hold very different numbers of tokens, the rest being padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

PAD = -100


def texts():
    ids = torch.randint(1, 12, (4, 10))
    labels = ids.clone()
    labels[2:, 3:] = PAD
    return {"input_ids": ids, "labels": labels}


class Model(nn.Module):
    def __init__(self, whole):
        super().__init__()
        self.whole = whole
        self.embed = nn.Embedding(12, 16)
        self.head = nn.Linear(16, 12)

    def forward(self, input_ids, labels, count):
        logits = self.head(self.embed(input_ids))[:, :-1].flatten(0, 1)
        targets = labels[:, 1:].flatten()
        if self.whole:
            return F.cross_entropy(logits, targets, ignore_index=PAD, reduction="sum") / count
        return F.cross_entropy(logits, targets, ignore_index=PAD) / 2  # BUG?: uneven-accumulation


def training(whole):
    model = Model(whole)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        count = int((batch["labels"][:, 1:] != PAD).sum())
        for part in (slice(0, 2), slice(2, 4)):
            model(batch["input_ids"][part], batch["labels"][part], count).backward()
        optimizer.step()
        optimizer.zero_grad()

    return smokestep.Training(step, texts())


def buggy():
    return training(whole=False)


def fixed():
    return training(whole=True)
