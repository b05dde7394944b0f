"""A tagger over packed sentences whose loss counts the tag that pads them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import smokestep


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 12, padding_idx=0)
        self.rnn = nn.GRU(12, 16, batch_first=True, bidirectional=True)
        self.emit = nn.Linear(32, 6)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embed(words), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=words.shape[1])
        return self.emit(hidden)


def training(criterion):
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch):
        words, lengths, tags = batch
        model.zero_grad()
        emissions = model(words, lengths)
        loss = criterion(emissions.permute(0, 2, 1), tags)  # BUG?: padded-loss
        loss.backward()
        optimizer.step()
        return loss

    lengths = torch.tensor([12, 3, 5, 8])
    real = torch.arange(12) < lengths[:, None]
    return smokestep.Training(
        step, (torch.randint(1, 50, (4, 12)) * real, lengths, torch.randint(1, 6, (4, 12)) * real)
    )


def buggy():
    return training(nn.CrossEntropyLoss())


def fixed():
    return training(nn.CrossEntropyLoss(ignore_index=0))
