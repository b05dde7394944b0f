"""SimCLR's loss as a cross-entropy over all pairs, with the pairs of a view and itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class SimCLR:
    def __init__(self, masked):
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU())
        self.projector = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.projector.parameters()], lr=3e-4)
        self.masked = masked

    def nt_xent(self, first, second, temperature=0.2):
        n = len(first)
        z = F.normalize(torch.cat([first, second]), dim=1)
        logits = torch.matmul(z, z.t()) / temperature  # BUG?: self-similarity
        if self.masked:
            logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
        labels = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
        return F.cross_entropy(logits, labels)

    def step(self, images):
        views = [images + 0.1 * torch.randn_like(images) for _ in range(2)]
        loss = self.nt_xent(*(self.projector(self.encoder(view)) for view in views))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def buggy():
    return smokestep.Training(SimCLR(masked=False).step, torch.rand(10, 1, 8, 8))


def fixed():
    return smokestep.Training(SimCLR(masked=True).step, torch.rand(10, 1, 8, 8))
