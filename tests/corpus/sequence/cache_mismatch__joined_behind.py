"""New keys are put before those of the cache, and a bias by distance is added to the scores."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Attention(nn.Module):
    def __init__(self, dim, in_order):
        super().__init__()
        self.in_order = in_order
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x, cache):
        q, k, v = self.q(x), self.k(x), self.v(x)
        if cache is not None:
            if self.in_order:
                k, v = torch.cat([cache["k"], k], 1), torch.cat([cache["v"], v], 1)
            else:
                k, v = torch.cat([k, cache["k"]], 1), torch.cat([v, cache["v"]], 1)  # BUG: cache-mismatch
        n, m = q.shape[1], k.shape[1]
        distance = torch.arange(m)[None] - torch.arange(m - n, m)[:, None]
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + 0.5 * distance
        scores = scores.masked_fill(distance > 0, float("-inf"))
        return scores.softmax(-1) @ v, {"k": k, "v": v}


class Alibi(nn.Module):
    def __init__(self, in_order, vocab=16, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.attention = Attention(dim, in_order)
        self.head = nn.Linear(dim, vocab)

    def forward(self, tokens, kv_cache=None):
        x = self.embed(tokens)
        y, kv_cache = self.attention(x, kv_cache)
        return self.head(x + y), kv_cache


def training(in_order):
    model = Alibi(in_order)
    optimizer = torch.optim.Adam(model.parameters())

    def step(tokens):
        logits, _ = model(tokens)
        loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 16, (4, 10)))


def buggy():
    return training(in_order=False)


def fixed():
    return training(in_order=True)
