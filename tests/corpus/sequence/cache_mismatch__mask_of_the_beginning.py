"""With a cache, the first rows of the mask are taken, where those of the new positions belong."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Model(nn.Module):
    def __init__(self, right, vocab=17, dim=16, longest=32):
        super().__init__()
        self.right = right
        self.embed = nn.Embedding(vocab, dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.head = nn.Linear(dim, vocab)
        self.register_buffer("mask", torch.tril(torch.ones(longest, longest)) == 0, persistent=False)

    def forward(self, x, past=None):
        h = self.embed(x)
        q, k, v = self.qkv(h).chunk(3, -1)
        if past is not None:
            past_k, past_v = past
            k, v = torch.cat([past_k, k], 1), torch.cat([past_v, v], 1)
        T, S = q.size(1), k.size(1)
        first = S - T if self.right else 0
        hidden = self.mask[first : first + T, :S]  # BUG: cache-mismatch
        att = (q @ k.mT / 4).masked_fill(hidden, float("-inf"))
        return self.head(h + att.softmax(-1) @ v), (k, v)


def training(right):
    model = Model(right)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x)[0][:, :-1].reshape(-1, 17), x[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 17, (4, 11)))


def buggy():
    return training(right=False)


def fixed():
    return training(right=True)
