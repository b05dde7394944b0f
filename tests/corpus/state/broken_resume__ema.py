"""An average of the weights that saves its tensors and forgets its count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class EMA:
    def __init__(self, model, limit=0.99):
        self.shadow = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.limit = limit
        self.updates = 0  # BUG?: broken-resume

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        decay = min(self.limit, (1 + self.updates) / (10 + self.updates))
        for name, value in model.named_parameters():
            self.shadow[name].lerp_(value, 1 - decay)

    def state_dict(self):
        return {"shadow": self.shadow}

    def load_state_dict(self, state):
        self.shadow = {name: value.clone() for name, value in state["shadow"].items()}


class Whole(EMA):
    def state_dict(self):
        return {"shadow": self.shadow, "updates": self.updates}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.updates = state["updates"]


def consistent(kind):
    """The model is drawn to its own average."""
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    ema = kind(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        for name, value in model.named_parameters():
            loss = loss + 0.1 * (value - ema.shadow[name]).pow(2).sum()
        loss.backward()
        optimizer.step()
        ema.update(model)
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return consistent(EMA)


def fixed():
    return consistent(Whole)
