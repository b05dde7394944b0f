"""A decoder on prompts padded at their front, whose positions count the padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Decoder(nn.Module):
    def __init__(self, words=30, dim=16, heads=2):
        super().__init__()
        self.heads = heads
        self.wte, self.wpe = nn.Embedding(words, dim), nn.Embedding(64, dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, words, bias=False)

    def positions(self, input_ids, attention_mask):
        return torch.arange(input_ids.size(1))  # BUG?: padded-mismatch

    def forward(self, input_ids, attention_mask):
        B, T = input_ids.shape
        x = self.wte(input_ids) + self.wpe(self.positions(input_ids, attention_mask))
        q, k, v = (t.view(B, T, self.heads, -1).transpose(1, 2) for t in self.qkv(self.norm(x)).chunk(3, dim=-1))
        allowed = torch.tril(torch.ones(T, T, dtype=torch.bool)) & attention_mask[:, None, None, :].bool()
        allowed = allowed | torch.eye(T, dtype=torch.bool)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.lm_head(x + self.proj(y.transpose(1, 2).reshape(B, T, -1)))


class Counting(Decoder):
    def positions(self, input_ids, attention_mask):
        return (attention_mask.cumsum(1) - 1).clamp(min=0)


def training(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        labels = ids.masked_fill(mask == 0, -100)
        logits = model(ids, mask)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    mask = (torch.arange(10) >= 10 - torch.tensor([10, 6, 4, 8])[:, None]).long()
    return smokestep.Training(step, {"input_ids": torch.randint(3, 30, (4, 10)) * mask, "attention_mask": mask})


def buggy():
    return training(Decoder())


def fixed():
    return training(Counting())
