"""The attention block of a diffusion U-Net normalises over the queries, not over the keys.

Source: labmlai/annotated_deep_learning_paper_implementations issue #146 (2022), "Bug in SA for DDPM UNet?": softmax
along `i` of `bijh` where it belongs along `j`; "a typo and a big bug".
Symptom: none; on CIFAR-10 the FID is about the same with and without it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class AttentionBlock(nn.Module):
    def __init__(self, channels, dim, heads=2):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.projection, self.output = nn.Linear(channels, channels * 3), nn.Linear(channels, channels)
        self.heads, self.d_k, self.dim = heads, channels // heads, dim

    def forward(self, x):
        b, c, h, w = x.shape
        seq = self.norm(x).view(b, c, -1).permute(0, 2, 1)
        q, k, v = self.projection(seq).view(b, -1, self.heads, 3 * self.d_k).chunk(3, dim=-1)
        attn = torch.einsum("bihd,bjhd->bijh", q, k) * self.d_k**-0.5
        attn = attn.softmax(dim=self.dim)  # FAULT
        res = torch.einsum("bijh,bjhd->bihd", attn, v).reshape(b, -1, c)
        return (self.output(res) + seq).permute(0, 2, 1).view(b, c, h, w) + x


class UNet(nn.Module):
    def __init__(self, dim, channels=16):
        super().__init__()
        self.inp, self.down = nn.Conv2d(1, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, 2, 1)
        self.time = nn.Sequential(nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, channels))
        self.middle = AttentionBlock(channels, dim)
        self.up = nn.ConvTranspose2d(channels, channels, 4, 2, 1)
        self.out = nn.Conv2d(2 * channels, 1, 3, padding=1)
        self.channels = channels

    def forward(self, x, t):
        half = self.channels // 2
        frequencies = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
        angles = t[:, None] * frequencies[None]
        emb = self.time(torch.cat((angles.sin(), angles.cos()), dim=1))
        skip = F.silu(self.inp(x) + emb[:, :, None, None])
        return self.out(torch.cat([self.up(self.middle(F.silu(self.down(skip)))), skip], dim=1))


def training(dim, steps=50):
    model = UNet(dim)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-5)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, steps), dim=0)

    def step(x0):
        t = torch.randint(0, steps, (len(x0),))
        noise = torch.randn_like(x0)
        signal = alpha_bar[t][:, None, None, None]
        xt = signal.sqrt() * x0 + (1 - signal).sqrt() * noise
        optimizer.zero_grad()
        loss = F.mse_loss(noise, model(xt, t.float()))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.rand(4, 1, 8, 8) * 2 - 1)


def buggy():
    return training(dim=1)


def fixed():
    return training(dim=2)
