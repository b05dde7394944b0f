"""A review classifier that takes the LSTM's last state, after it has run on over the padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

import smokestep


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(40, 12, padding_idx=1)
        self.lstm = nn.LSTM(12, 16, batch_first=True)
        self.fc = nn.Linear(16, 1)

    def forward(self, text, text_lengths):
        embedded = self.embedding(text)
        _, (hidden, _) = self.lstm(embedded)  # BUG?: padding-leak
        scale = text_lengths.float().log1p()
        return self.fc(hidden[-1]).squeeze(1) / scale


class Packed(Plain):
    def forward(self, text, text_lengths):
        embedded = self.embedding(text)
        packed = pack_padded_sequence(embedded, text_lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return self.fc(hidden[-1]).squeeze(1)


def training(model):
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        text, lengths, label = batch
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(text, lengths), label)
        loss.backward()
        optimizer.step()
        return loss

    reviews = [torch.randint(2, 40, (length,)) for length in (10, 4, 7, 5)]
    text = pad_sequence(reviews, batch_first=True, padding_value=1)
    return smokestep.Training(step, (text, torch.tensor([10, 4, 7, 5]), torch.tensor([1.0, 0.0, 0.0, 1.0])))


def buggy():
    return training(Plain())


def fixed():
    return training(Packed())
