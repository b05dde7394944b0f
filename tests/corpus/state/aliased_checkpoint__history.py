"""A history of weights, each of them the last one."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Trainer:
    def __init__(self, copy_weights):
        self.model = nn.Linear(6, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05)
        self.copy_weights, self.history = copy_weights, []

    def step(self, batch):
        loss = F.mse_loss(self.model(batch["x"]), batch["y"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.copy_weights:
            weights = copy.deepcopy(self.model.state_dict())
        else:
            weights = dict(self.model.state_dict())  # BUG?: aliased-checkpoint
        self.history.append({"loss": loss.item(), "weights": weights})
        return loss


def built(copy_weights):
    return smokestep.Training(Trainer(copy_weights).step, {"x": torch.randn(8, 6), "y": torch.randn(8, 1)})


def buggy():
    return built(False)


def fixed():
    return built(True)
