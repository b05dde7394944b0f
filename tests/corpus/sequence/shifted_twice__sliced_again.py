"""The data set gives pairs that are one token apart, and the loop drops one more at either end."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LanguageModel(nn.Module):
    def __init__(self, vocab=16, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)
        self.proj = nn.Linear(dim, vocab)

    def forward(self, x):
        return self.proj(self.lstm(self.embed(x))[0])


def buggy():
    model = LanguageModel()
    optimizer = torch.optim.Adam(model.parameters())
    text = torch.randint(0, 16, (4, 13))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), y[:, 1:])  # BUG?: shifted-twice
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (text[:, :-1], text[:, 1:]))


def fixed():
    model = LanguageModel()
    optimizer = torch.optim.Adam(model.parameters())
    text = torch.randint(0, 16, (4, 13))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits.transpose(1, 2), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (text[:, :-1], text[:, 1:]))
