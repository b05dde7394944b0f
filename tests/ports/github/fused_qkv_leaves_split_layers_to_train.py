"""Fusing the projections copies them into `to_qkv` and keeps the split layers, which are then adapted and trained in
vain.

Source: huggingface/diffusers issue #11903 (2025), "Fused QKV projections incompatible with training": "the remaining
qkv split layers can be inadvertently used for training, targeted by PEFT LoRA or EMA Model".
Symptom: the adapters do not change the output; the trained parameters are not the ones in use.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class LoRA(nn.Module):
    def __init__(self, base, rank=4):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A, self.lora_B = (
            nn.Linear(base.in_features, rank, bias=False),
            nn.Linear(rank, base.out_features, bias=False),
        )
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        return self.base(x) + self.lora_B(self.lora_A(x))


class Attention(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.to_out, self.heads, self.fused = nn.Linear(dim, dim), heads, False

    @torch.no_grad()
    def fuse_projections(self):
        weights = torch.cat([self.to_q.weight, self.to_k.weight, self.to_v.weight])
        self.to_qkv = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
        self.to_qkv.weight.copy_(weights)
        self.fused = True

    def forward(self, x):
        q, k, v = self.to_qkv(x).chunk(3, dim=-1) if self.fused else (self.to_q(x), self.to_k(x), self.to_v(x))
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class DiT(nn.Module):
    def __init__(self, channels=4, dim=16):
        super().__init__()
        self.proj_in, self.proj_out = nn.Linear(channels, dim), nn.Linear(dim, channels)
        self.time = nn.Sequential(nn.Linear(8, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.norm, self.attn = nn.LayerNorm(dim), Attention(dim)
        self.ff = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim))

    def forward(self, latents, t):
        angles = t[:, None] * torch.exp(-math.log(1000) * torch.arange(4) / 4)
        x = self.proj_in(latents) + self.time(torch.cat([angles.sin(), angles.cos()], dim=1)).unsqueeze(1)
        x = x + self.attn(self.norm(x))
        return self.proj_out(x + self.ff(x))


def training(targets):
    model = DiT().requires_grad_(False)
    model.attn.fuse_projections()
    for name in targets:
        setattr(model.attn, name, LoRA(getattr(model.attn, name)))
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-3)

    def step(latents):
        noise = torch.randn_like(latents)
        t = torch.rand(len(latents))
        noisy = (1 - t)[:, None, None] * latents + t[:, None, None] * noise
        loss = F.mse_loss(model(noisy, t), noise - latents)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randn(6, 5, 4))


def buggy():
    return training(["to_q", "to_k", "to_v", "to_out"])  # FAULT


def fixed():
    return training(["to_qkv", "to_out"])
