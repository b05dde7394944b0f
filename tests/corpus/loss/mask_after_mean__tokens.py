"""A language model's padding mask meets the mean of the loss instead of the loss of each token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(30, 16), nn.GRU(16, 24, batch_first=True), nn.Linear(24, 30)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def masked_loss(logits, targets, mask, reduction):
    losses = F.cross_entropy(logits.reshape(-1, 30), targets.reshape(-1), reduction=reduction)
    return (losses * mask.reshape(-1)).sum() / mask.sum()  # BUG?: mask-after-mean


def training(reduction):
    model = Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        ids, lengths = batch
        mask = (torch.arange(ids.size(1) - 1) < lengths.unsqueeze(1) - 1).float()
        loss = masked_loss(model(ids[:, :-1]), ids[:, 1:], mask, reduction)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    lengths = torch.tensor([9, 4, 7, 9])
    ids = torch.randint(1, 30, (4, 9)).masked_fill(torch.arange(9) >= lengths.unsqueeze(1), 0)
    return smokestep.Training(step, (ids, lengths))


def buggy():
    return training("mean")


def fixed():
    return training("none")
