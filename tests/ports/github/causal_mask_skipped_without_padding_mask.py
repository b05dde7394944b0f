"""The causal mask is applied inside the branch for a given attention mask; without one, attention looks both ways.

Source: facebookresearch/xformers issue #103 (2021), "Causal mask is skipped if no att_mask is passed": "an
hypothetical causal mask is completely skipped".
Symptom: the decoder sees the tokens it must predict; dense and block-sparse attention disagree.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class ScaledDotProduct(nn.Module):
    def __init__(self, causal, always):
        super().__init__()
        self.causal, self.always = causal, always

    def forward(self, q, k, v, att_mask=None):
        length = q.shape[-2]
        triangle = torch.ones(length, length, dtype=torch.bool).tril()
        if att_mask is not None:
            if self.causal:
                att_mask = att_mask & triangle
        elif self.causal and self.always:
            att_mask = triangle
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        if att_mask is not None:
            scores = scores.masked_fill(~att_mask, float("-inf"))
        return scores.softmax(dim=-1) @ v  # FAULT


class Block(nn.Module):
    def __init__(self, width, heads, attention):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feedforward = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.attention, self.heads = attention, heads

    def forward(self, x, att_mask=None):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.in_proj(self.norm1(x)).chunk(3, -1))
        x = x + self.out_proj(self.attention(q, k, v, att_mask).transpose(1, 2).flatten(2))
        return x + self.feedforward(self.norm2(x))


class Decoder(nn.Module):
    def __init__(self, always, symbols=16, width=16):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(symbols, width), nn.Embedding(32, width)
        self.blocks = nn.ModuleList([Block(width, 4, ScaledDotProduct(True, always)) for _ in range(2)])
        self.head = nn.Linear(width, symbols)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def training(always):
    model = Decoder(always)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

    def step(batch):
        x, y = batch[:, :-1], batch[:, 1:]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).transpose(1, 2), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return smokestep.Training(step, torch.randint(0, 16, (8, 11)))


def buggy():
    return training(always=False)


def fixed():
    return training(always=True)
