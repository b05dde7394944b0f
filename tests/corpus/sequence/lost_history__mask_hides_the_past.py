"""The scores of all other positions are filled, where those of later ones should be."""

import torch
from torch import nn

import smokestep


class Attention(nn.Module):
    def __init__(self, dim, past):
        super().__init__()
        self.past = past
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))

    def forward(self, x):
        T = x.shape[1]
        scores = torch.einsum("bqd,bkd->bqk", self.query(x), self.key(x)) / x.shape[-1] ** 0.5
        hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
        if not self.past:
            hidden = hidden | hidden.T
        scores = scores.masked_fill(hidden, -1e9)  # BUG?: lost-history
        return torch.einsum("bqk,bkd->bqd", scores.softmax(dim=-1), self.value(x))


class Model(nn.Module):
    def __init__(self, past, vocab=18, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.attention = Attention(dim, past)
        self.unembed = nn.Linear(dim, vocab)

    def forward(self, tokens):
        x = self.embed(tokens)
        return self.unembed(x + self.attention(x))


def training(past):
    model = Model(past)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_function = nn.CrossEntropyLoss()

    def step(tokens):
        optimizer.zero_grad()
        loss = loss_function(model(tokens[:, :-1]).movedim(-1, 1), tokens[:, 1:])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 18, (3, 13)))


def buggy():
    return training(past=False)


def fixed():
    return training(past=True)
