"""A tagger is tried in evaluation mode, and nobody calls `train()` again: the LSTM's dropout is off."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Tagger(nn.Module):
    def __init__(self, words: int = 20, tags: int = 5):
        super().__init__()
        self.embed = nn.Embedding(words, 12)
        self.rnn = nn.LSTM(12, 14, num_layers=2, dropout=0.3, batch_first=True)
        self.out = nn.Linear(14, tags)

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids))[0])


def training(mode: bool) -> smokestep.Training:
    tagger = Tagger()
    optimizer = torch.optim.Adam(tagger.parameters(), lr=2e-3)
    ids, tags = torch.randint(0, 20, (6, 9)), torch.randint(0, 5, (6, 9))
    tagger.eval()  # BUG?: trained-in-eval
    with torch.no_grad():
        tagger(ids)
    if mode:
        tagger.train()

    def step(batch):
        words, wanted = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(tagger(words).transpose(1, 2), wanted)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (ids, tags))


def buggy() -> smokestep.Training:
    return training(False)


def fixed() -> smokestep.Training:
    return training(True)
