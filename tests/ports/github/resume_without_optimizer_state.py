"""The checkpoint holds the model and the scheduler and not the optimizer: after resuming, Adam's moments begin from
nothing.

Source: EvolvingLMMs-Lab/OneVision-Encoder pull request #65 (2026): "does NOT save optimizer.state_dict()"; the same
in NVlabs/stylegan2-ada-pytorch issue #108 (2021).
Symptom: a loss spike at each resumption, and instability for thousands of steps.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Run:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.05)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=1000)

    def checkpoint(self):
        return {"backbone": self.model.state_dict(), "scheduler": self.scheduler.state_dict()}  # FAULT

    def load(self, checkpoint):
        self.model.load_state_dict(checkpoint["backbone"])
        self.scheduler.load_state_dict(checkpoint["scheduler"])

    def train_batch(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y, label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss


class Whole(Run):
    def checkpoint(self):
        return super().checkpoint() | {"optimizer": self.optimizer.state_dict()}

    def load(self, checkpoint):
        super().load(checkpoint)
        self.optimizer.load_state_dict(checkpoint["optimizer"])


def training(run):
    x = torch.randn(24, 10)
    batch = (x, x[:, :4].argmax(1))
    interrupted = run()
    for _ in range(5):
        interrupted.train_batch(batch)
    saved = copy.deepcopy(interrupted.checkpoint())
    resumed = run()
    resumed.load(saved)
    return smokestep.Training(resumed.train_batch, batch)


def buggy():
    return training(Run)


def fixed():
    return training(Whole)
