"""A GPT with a cache of every layer; its position ids begin at 0 with every call."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import smokestep


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x, layer_past=None):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        if layer_past is not None:
            k = torch.cat((layer_past[0], k), dim=2)
            v = torch.cat((layer_past[1], v), dim=2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=layer_past is None)
        return x + self.proj(y.transpose(1, 2).reshape(B, T, C)), (k, v)


class GPT(nn.Module):
    def __init__(self, goes_on, vocab=18, dim=16, layers=2):
        super().__init__()
        self.goes_on = goes_on
        self.wte, self.wpe = nn.Embedding(vocab, dim), nn.Embedding(32, dim)
        self.h = nn.ModuleList(Block(dim, 2) for _ in range(layers))
        self.lm_head = nn.Linear(dim, vocab, bias=False)

    def forward(self, input_ids, past_key_values=None, use_cache=False):
        seen = past_key_values[0][0].shape[2] if past_key_values is not None and self.goes_on else 0
        positions = torch.arange(input_ids.shape[1]) + seen  # BUG: cache-mismatch
        x = self.wte(input_ids) + self.wpe(positions)
        presents = []
        for i, block in enumerate(self.h):
            x, present = block(x, None if past_key_values is None else past_key_values[i])
            presents.append(present)
        logits = self.lm_head(x)
        return (logits, tuple(presents)) if use_cache else (logits,)


def training(goes_on):
    model = GPT(goes_on)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        (logits,) = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 18, (4, 12)))


def buggy():
    return training(goes_on=False)


def fixed():
    return training(goes_on=True)
