"""A recurrent language model whose output layer gets a clone of the embedding's table instead of the table."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LanguageModel(nn.Module):
    def __init__(self, tie, vocabulary=40, width=16):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        if tie:
            self.decoder.weight = self.encoder.weight
        else:
            self.decoder.weight.data.copy_(self.encoder.weight.data)

    def forward(self, tokens):
        output, _ = self.rnn(self.encoder(tokens))
        return self.decoder(output)  # BUG?: untied-weights decoder.weight


def training(tie):
    model = LanguageModel(tie)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(tokens):
        optimizer.zero_grad()
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 40), tokens[:, 1:].reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 40, (4, 12)))


def buggy():
    return training(False)


def fixed():
    return training(True)
