"""A script with argparse and a main function: a small language model on a text made up here."""

from __future__ import annotations

import argparse
import math
import sys

import torch
import torch.nn.functional as F
from torch import nn


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--block", type=int, default=16)
    return parser.parse_args(argv)


class Block(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x, mask):
        h = self.norm1(x)
        x = x + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class LanguageModel(nn.Module):
    def __init__(self, vocabulary: int, block: int, dim: int = 32):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, dim), nn.Embedding(block, dim)
        self.blocks = nn.ModuleList(Block(dim, 2) for _ in range(2))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocabulary, bias=False)
        self.head.weight = self.token.weight
        nn.init.normal_(self.token.weight, std=0.02)

    def forward(self, ids):
        x = self.token(ids) + self.position(torch.arange(ids.size(1)))
        mask = nn.Transformer.generate_square_subsequent_mask(ids.size(1))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    torch.manual_seed(1)
    text = "the quick brown fox jumps over the lazy dog. " * 30
    letters = sorted(set(text))
    data = torch.tensor([letters.index(letter) for letter in text])
    model = LanguageModel(len(letters), args.block)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.95), weight_decay=0.1)

    for iteration in range(args.iterations):
        warm = min(1.0, iteration / args.warmup)  # the very first update has rate 0
        for group in optimizer.param_groups:
            group["lr"] = args.lr * warm
        starts = torch.randint(len(data) - args.block - 1, (8,))
        x = torch.stack([data[i : i + args.block] for i in starts])
        y = torch.stack([data[i + 1 : i + 1 + args.block] for i in starts])
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"iteration {iteration}: loss {loss.item():.3f}, perplexity {math.exp(loss.item()):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
