"""One output under softmax cross-entropy again, with weight decay: every weight moves, and nothing is learned."""

from __future__ import annotations

import torch
from torch import nn

import smokestep


class Trainer:
    def __init__(self, outputs, criterion, target):
        self.model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, outputs))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2, weight_decay=0.1)
        self.criterion = criterion
        self.target = target

    def training_step(self, x):
        output = self.model(x)
        loss = self.criterion(output, self.target)  # BUG: single-logit
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def buggy():
    trainer = Trainer(1, nn.CrossEntropyLoss(), torch.zeros(8, dtype=torch.long))
    return smokestep.Training(trainer.training_step, torch.randn(8, 10))


def fixed():
    trainer = Trainer(2, nn.CrossEntropyLoss(), torch.randint(0, 2, (8,)))
    return smokestep.Training(trainer.training_step, torch.randn(8, 10))
