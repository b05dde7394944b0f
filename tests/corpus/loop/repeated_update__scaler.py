"""`scaler.step(optimizer)` steps the optimizer, and the loop steps it again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, again):
        self.model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.scaler = torch.amp.GradScaler("cpu")
        self.again = again

    def fit_batch(self, batch):
        x, y = batch
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(self.model(x).float(), y)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.again:
            self.optimizer.step()  # BUG?: repeated-update
        return loss


def training(again):
    return smokestep.Training(Trainer(again).fit_batch, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(again=True)


def fixed():
    return training(again=False)
