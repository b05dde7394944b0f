"""Embeddings are compared by their norms, and the padding has none: its gradient is NaN, and the scaler skips on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Matcher(nn.Module):
    def __init__(self, eps):
        super().__init__()
        self.embed = nn.Embedding(20, 16, padding_idx=0)
        self.project = nn.Linear(16, 8, bias=False)
        self.eps = eps

    def forward(self, words):
        hidden = self.project(self.embed(words))
        length = (hidden.pow(2).sum(-1) + self.eps).sqrt()
        return hidden.mean(1), length.mean(1)


class Fit:
    def __init__(self, eps):
        self.model = Matcher(eps)
        self.opt = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.scaler = torch.amp.GradScaler("cpu")

    def training_step(self, batch):
        words, target = batch
        self.opt.zero_grad()
        mean, length = self.model(words)
        loss = F.mse_loss(mean, target) + 0.1 * length.mean()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.opt)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.scaler.step(self.opt)  # BUG: skipped-steps
        self.scaler.update()
        return loss


def training(eps):
    words = torch.randint(1, 20, (6, 5))
    words[:, 3:] = 0
    return smokestep.Training(Fit(eps).training_step, (words, torch.randn(6, 8)))


def buggy():
    return training(0.0)


def fixed():
    return training(1e-8)
