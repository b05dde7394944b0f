"""ExponentialLR with the gamma of a paper, which means epochs, is stepped in the loop over the batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import smokestep


class Trainer:
    def __init__(self, gamma):
        features = torch.randn(4096, 6)
        self.loader = DataLoader(TensorDataset(features, features.sum(1)), batch_size=4, shuffle=True)
        self.net = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 1))
        self.opt = torch.optim.Adam(self.net.parameters(), lr=1e-2)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.opt, gamma=gamma(len(self.loader)))
        self.batches = iter(self.loader)

    def train_batch(self):
        x, y = next(self.batches)
        loss = F.huber_loss(self.net(x).squeeze(-1), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        self.schedule.step()  # BUG?: schedule-pace
        return loss


def buggy():
    return smokestep.Training(Trainer(lambda batches: 0.97).train_batch)


def fixed():
    return smokestep.Training(Trainer(lambda batches: 0.97 ** (1 / batches)).train_batch)
