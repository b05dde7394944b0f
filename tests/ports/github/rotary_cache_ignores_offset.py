"""Rotary frequencies are cached by length alone: a later call with another offset gets the angles of the first.

Source: lucidrains/rotary-embedding-torch issue #11 (2023), "Bug in cache": the key `freqs:{seq_len}` lacks the
offset; fixed.
Symptom: decoding step by step with a cache of keys and values, every token is rotated like the first one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class RotaryEmbedding:
    def __init__(self, dim):
        self.freqs = 1.0 / (10_000 ** (torch.arange(0, dim, 2) / dim))
        self.cache = {}

    def key(self, seq_len, offset):
        return f"freqs:{seq_len}"  # FAULT

    def rotate_queries_or_keys(self, t, offset=0):
        seq_len = t.shape[-2]
        key = self.key(seq_len, offset)
        if key not in self.cache:
            self.cache[key] = torch.outer(torch.arange(seq_len) + offset, self.freqs).repeat_interleave(2, dim=-1)
        angles = self.cache[key]
        half = torch.stack((-t[..., 1::2], t[..., ::2]), dim=-1).flatten(-2)
        return t * angles.cos() + half * angles.sin()


class OffsetInKey(RotaryEmbedding):
    def key(self, seq_len, offset):
        return f"freqs:{seq_len};offset:{offset}"


class Attention(nn.Module):
    def __init__(self, width, heads, rotary):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.heads, self.rotary = heads, rotary

    def forward(self, x, past=None):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        offset = 0 if past is None else past[0].shape[2]
        q = self.rotary.rotate_queries_or_keys(q, offset=offset)
        k = self.rotary.rotate_queries_or_keys(k, offset=offset)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(offset)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(attended.transpose(1, 2).flatten(2)), (k, v)


class Transformer(nn.Module):
    def __init__(self, rotary, vocab=24, width=16, heads=2, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(depth)])
        shared = rotary(width // heads)
        self.layers = nn.ModuleList([Attention(width, heads, shared) for _ in range(depth)])
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocab))

    def forward(self, input_ids, past_key_values=None, use_cache=False):
        x, present = self.embed(input_ids), []
        for i, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            attended, kept = layer(norm(x), None if past_key_values is None else past_key_values[i])
            x = x + attended
            present.append(kept)
        logits = self.head(x)
        return (logits, present) if use_cache else logits


def training(rotary):
    model = Transformer(rotary)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 24, (4, 10)))


def buggy():
    return training(RotaryEmbedding)


def fixed():
    return training(OffsetInKey)
