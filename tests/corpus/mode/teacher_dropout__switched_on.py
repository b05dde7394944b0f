"""A trainer puts all its models into training mode at the start of an epoch, the frozen feature extractor among them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, frozen):
        self.features = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten()).eval()
        self.features.requires_grad_(False)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        self.frozen = frozen
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def start_epoch(self):
        self.net.train()
        self.features.train(not self.frozen)  # BUG?: teacher-dropout

    def train_step(self, images):
        self.start_epoch()
        noisy = images + 0.1 * torch.randn_like(images)
        with torch.no_grad():
            target = self.features(images)
        restored = self.net(noisy)
        loss = F.mse_loss(restored, images) + 0.1 * F.mse_loss(restored.flatten(1).mean(1), target.mean(1))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def buggy():
    return smokestep.Training(Trainer(False).train_step, torch.rand(5, 1, 8, 8))


def fixed():
    return smokestep.Training(Trainer(True).train_step, torch.rand(5, 1, 8, 8))
