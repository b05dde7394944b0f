"""The decoder moves its input one to the right, as it should for unshifted targets; the loop has cut it already."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Decoder(nn.Module):
    def __init__(self, vocab=20, dim=16):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, 1, dim))
        self.embed = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.out = nn.Linear(dim, vocab)

    def forward(self, words):  # BUG?: lost-history
        shifted = torch.cat([self.start.expand(len(words), -1, -1), self.embed(words[:, :-1])], dim=1)
        return self.out(self.rnn(shifted)[0])


def training(cut):
    model = Decoder()
    optimizer = torch.optim.Adam(model.parameters())

    def step(words):
        optimizer.zero_grad()
        inputs, targets = (words[:, :-1], words[:, 1:]) if cut else (words, words)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))


def buggy():
    return training(cut=True)


def fixed():
    return training(cut=False)
