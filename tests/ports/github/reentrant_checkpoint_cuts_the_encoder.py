"""The encoder runs in a reentrant activation checkpoint whose only input is data: its output has no gradient function.

Source: ai2cm/ace pull request #1493 (2026), "training proceeded with a frozen, randomly-initialised input encoder and
raised nothing louder than a UserWarning"; huggingface/transformers issue #21381 (2023).
Symptom: the parameters of the encoder have no gradient; the rest trains.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import smokestep


class ConditionalSFNO(nn.Module):
    def __init__(self, use_reentrant, fields=4, width=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(fields, width, 1), nn.GELU(), nn.Conv2d(width, width, 1, bias=False))
        self.blocks = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2)])
        self.condition = nn.Linear(3, width)
        self.decoder = nn.Conv2d(width + fields, fields, 1)
        self.use_reentrant = use_reentrant

    def forward(self, x, noise):
        h = checkpoint(self.encoder, x, use_reentrant=self.use_reentrant)  # FAULT
        for block in self.blocks:
            h = h + checkpoint(self.block, block, h, noise, use_reentrant=self.use_reentrant)
        return self.decoder(torch.cat([h, x], dim=1))

    def block(self, block, h, noise):
        return F.gelu(block(h) * (1 + self.condition(noise))[:, :, None, None])


def training(use_reentrant):
    model = ConditionalSFNO(use_reentrant)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def train_batch(batch):
        state, following = batch
        optimizer.zero_grad()
        loss = F.l1_loss(model(state, torch.randn(len(state), 3)), following)
        loss.backward()
        optimizer.step()
        return loss

    state = torch.randn(6, 4, 8, 8)
    return smokestep.Training(train_batch, (state, state.roll(1, 3)))


def buggy():
    return training(use_reentrant=True)


def fixed():
    return training(use_reentrant=False)
