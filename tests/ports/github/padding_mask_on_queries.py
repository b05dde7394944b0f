"""The padding mask is unsqueezed into the dimension of the queries, not of the keys: no key is hidden from a real
position.

Source: hyunwoongko/transformer pull request #40 (2025), "fix(model): attention pad mask":
`.unsqueeze(1).unsqueeze(3)` "will got wrong broadcast result"; it works "because we are using -10000 rather than
-inf".
Symptom: none; rows of padding get uniform attention, and real positions attend to padding.
"""

from __future__ import annotations

import math

import torch
from torch import nn

import smokestep

PAD = 1


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_head):
        super().__init__()
        self.n_head = n_head
        self.w_q, self.w_k, self.w_v = (nn.Linear(d_model, d_model) for _ in range(3))
        self.w_concat = nn.Linear(d_model, d_model)

    def forward(self, q, k, v, mask):
        q, k, v = self.w_q(q), self.w_k(k), self.w_v(v)
        q, k, v = (t.unflatten(2, (self.n_head, -1)).transpose(1, 2) for t in (q, k, v))
        score = (q @ k.transpose(2, 3)) / math.sqrt(q.shape[-1])
        score = score.masked_fill(mask == 0, -10000)
        return self.w_concat((torch.softmax(score, dim=-1) @ v).transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self, d_model, n_head):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, n_head)
        self.ffn = nn.Sequential(nn.Linear(d_model, 2 * d_model), nn.ReLU(), nn.Linear(2 * d_model, d_model))
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, x, mask):
        x = self.norm1(x + self.attention(x, x, x, mask))
        return self.norm2(x + self.ffn(x))


class Tagger(nn.Module):
    def __init__(self, words=30, tags=5, d_model=16):
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(words, d_model, padding_idx=PAD), nn.Embedding(50, d_model)
        self.layers = nn.ModuleList([EncoderLayer(d_model, 2) for _ in range(2)])
        self.linear = nn.Linear(d_model, tags)

    def make_pad_mask(self, src):
        return (src != PAD).unsqueeze(1).unsqueeze(3)  # FAULT

    def forward(self, src):
        mask = self.make_pad_mask(src)
        x = self.tok_emb(src) + self.pos_emb(torch.arange(src.shape[1]))
        for layer in self.layers:
            x = layer(x, mask)
        return self.linear(x)


class KeysMasked(Tagger):
    def make_pad_mask(self, src):
        return (src != PAD).unsqueeze(1).unsqueeze(2)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss(ignore_index=-1)

    def step(batch):
        src, tags = batch
        optimizer.zero_grad()
        loss = criterion(model(src).flatten(0, 1), tags.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    src = torch.randint(2, 30, (6, 10))
    for row, length in enumerate((10, 6, 8, 5, 9, 7)):
        src[row, length:] = PAD
    return smokestep.Training(step, (src, (src % 5).masked_fill(src == PAD, -1)))


def buggy():
    return training(Tagger())


def fixed():
    return training(KeysMasked())
