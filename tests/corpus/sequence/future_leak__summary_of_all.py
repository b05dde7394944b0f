"""A recurrent model whose states are scaled by a gate that is computed from the mean over all positions."""

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Gated(nn.Module):
    def __init__(self, leaky, vocab=18, dim=16):
        super().__init__()
        self.leaky = leaky
        self.embedding = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.gate = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, ids):
        h, _ = self.rnn(self.embedding(ids))
        if self.leaky:
            summary = h.mean(dim=1, keepdim=True)  # BUG?: future-leak
        else:
            summary = h
        return self.out(h * torch.sigmoid(self.gate(summary)))


def training(leaky):
    model = Gated(leaky)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(ids):
        optimizer.zero_grad()
        log_probs = F.log_softmax(model(ids), dim=-1)
        loss = F.nll_loss(log_probs[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 18, (4, 10)))


def buggy():
    return training(True)


def fixed():
    return training(False)
