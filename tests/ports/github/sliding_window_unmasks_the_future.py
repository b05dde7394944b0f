"""The sliding-window mask multiplies an additive causal mask by zeros and ones, which turns "never" into "allowed".

Source: huggingface/transformers issue #31673 (2024), "Label Leakage in Gemma 2 Finetuning": `attention_mask *
torch.tril(torch.ones_like(attention_mask), diagonal=-self.sliding_window)`.
Symptom: the training loss quickly drops to 0, as if the labels leaked; they do.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

MIN = torch.finfo(torch.float32).min


class DecoderLayer(nn.Module):
    def __init__(self, width, heads, sliding_window, windowed):
        super().__init__()
        self.input_layernorm, self.post_layernorm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.o_proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.heads, self.sliding_window, self.windowed = heads, sliding_window, windowed

    def forward(self, x, attention_mask):
        if self.sliding_window:
            attention_mask = self.windowed(attention_mask, self.sliding_window)
        q, k, v = self.qkv(self.input_layernorm(x)).chunk(3, dim=-1)
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask)
        x = x + self.o_proj(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.post_layernorm(x))


class Gemma(nn.Module):
    def __init__(self, windowed, vocab=32, width=16):
        super().__init__()
        self.embed_tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(64, width)
        self.layers = nn.ModuleList([DecoderLayer(width, 2, 4 if i % 2 == 0 else None, windowed) for i in range(2)])
        self.norm, self.lm_head = nn.RMSNorm(width), nn.Linear(width, vocab, bias=False)

    def forward(self, input_ids):
        length = input_ids.shape[1]
        causal_mask = torch.triu(torch.full((length, length), MIN), diagonal=1)[None, None]
        x = self.embed_tokens(input_ids) + self.positions(torch.arange(length))
        for layer in self.layers:
            x = layer(x, causal_mask)
        return self.lm_head(self.norm(x))


def multiplied(mask, window):
    return mask * torch.tril(torch.ones_like(mask), diagonal=-window)  # FAULT


def filled(mask, window):
    return mask.masked_fill(torch.tril(torch.ones_like(mask, dtype=torch.bool), diagonal=-window), MIN)


def training(windowed):
    model = Gemma(windowed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(input_ids):
        logits = model(input_ids)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 32, (4, 12)))


def buggy():
    return training(multiplied)


def fixed():
    return training(filled)
