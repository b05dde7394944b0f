"""An optimizer of one's own whose step count lives in an attribute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Momentum(torch.optim.Optimizer):
    """Momentum with bias correction."""

    def __init__(self, params, lr=0.05, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})
        self.t = 0  # BUG: broken-resume

    def count(self):
        self.t += 1
        return self.t

    @torch.no_grad()
    def step(self, closure=None):
        t = self.count()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(group["beta"]).add_(p.grad, alpha=1 - group["beta"])
                p.add_(m, alpha=-group["lr"] / (1 - group["beta"] ** t))


class Counting(Momentum):
    def count(self):
        first = self.param_groups[0]
        first["t"] = first.get("t", 0) + 1
        return first["t"]


def fit(build):
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = build(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return fit(Momentum)


def fixed():
    return fit(Counting)
