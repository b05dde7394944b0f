"""Attention by hand, with the additive mask of the BERT family without its "1 minus"."""

from __future__ import annotations

import math

import torch
from torch import nn

import smokestep


class SelfAttention(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.heads, self.size = heads, dim // heads
        self.query, self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x, bias):
        def split(t):
            return t.view(*t.shape[:2], self.heads, self.size).transpose(1, 2)

        scores = split(self.query(x)) @ split(self.key(x)).transpose(-1, -2) / math.sqrt(self.size) + bias
        weights = nn.functional.softmax(scores, dim=-1)  # BUG: inverted-mask
        return (weights @ split(self.value(x))).transpose(1, 2).flatten(2)


class Tagger(nn.Module):
    def __init__(self, one):
        super().__init__()
        self.one = one
        self.embed = nn.Embedding(20, 16)
        self.attention = SelfAttention()
        self.tag = nn.Linear(16, 5)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[:, None, None, :].float()
        bias = (1.0 - mask if self.one else mask) * -10000.0
        x = self.embed(input_ids)
        return self.tag(x + self.attention(x, bias))


def training(one):
    model = Tagger(one)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    criterion = nn.CrossEntropyLoss()  # -100 is ignored

    def step(batch):
        logits = model(batch["input_ids"], batch["attention_mask"])
        loss = criterion(logits.view(-1, 5), batch["labels"].view(-1))
        loss.backward()
        optimizer.step()
        model.zero_grad()

    mask = (torch.arange(8) < torch.tensor([7, 3, 5, 6])[:, None]).long()
    labels = torch.randint(0, 5, (4, 8)).masked_fill(mask == 0, -100)
    return smokestep.Training(
        step, {"input_ids": torch.randint(1, 20, (4, 8)) * mask, "attention_mask": mask, "labels": labels}
    )


def buggy():
    return training(False)


def fixed():
    return training(True)
