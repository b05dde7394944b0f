"""The gradients are clipped before `backward`, when there are none.

Source: yandex-research/tabm issue #20 (2025), "Incorrect gradient clipping?": "applied before backward(), so it
doesn't do anything"; "definitely a bug", fixed.
Symptom: none; training runs without any clipping.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class TabM(nn.Module):
    """k weight-sharing networks, each with its own scaling of the inputs; the loss is taken of each."""

    def __init__(self, features=8, k=4, width=32):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(k, features).sign())
        self.backbone = nn.Sequential(
            nn.Linear(features, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, width), nn.ReLU()
        )
        self.output = nn.Linear(width, 1)

    def forward(self, x):
        return self.output(self.backbone(x.unsqueeze(1) * self.scale)).squeeze(-1)


def training(after):
    model = TabM()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=3e-4)

    def step(batch):
        x, y = batch
        model.train()
        optimizer.zero_grad()
        y_pred = model(x)
        loss = F.mse_loss(y_pred.flatten(0, 1), y.repeat_interleave(y_pred.shape[1]))
        if not after:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # FAULT
        loss.backward()
        if after:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    x = torch.randn(32, 8)
    return smokestep.Training(step, (x, x.pow(2).sum(1) / 8))


def buggy():
    return training(after=False)


def fixed():
    return training(after=True)
