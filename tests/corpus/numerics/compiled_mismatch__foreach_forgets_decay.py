"""An optimizer of one's own with two branches: the one over lists of tensors forgot the weight decay."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class Descent(torch.optim.Optimizer):
    forgets = False

    def __init__(self, params, lr, weight_decay, foreach=False):
        defaults = {"lr": lr, "weight_decay": weight_decay, "foreach": foreach}
        super().__init__(params, defaults)  # BUG?: compiled-mismatch

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if group["foreach"]:
                if not self.forgets:
                    torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(params, [p.grad for p in params], alpha=-group["lr"])
                continue
            for p in params:
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(p.grad, alpha=-group["lr"])


class Forgetful(Descent):
    forgets = True


def training(kind):
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 3))
    optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.5, foreach=True)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randint(0, 3, (8,))))


def buggy():
    return training(Forgetful)


def fixed():
    return training(Descent)
