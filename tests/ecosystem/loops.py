"""The training loops that people write around another's model, for whatever the model returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


def classifier(model: nn.Module, inputs: Any, classes: int) -> smokestep.Training:
    """Cross entropy on the model's logits."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    targets = torch.randint(0, classes, (len(inputs),))

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (inputs, targets))


def regression(model: nn.Module, inputs: Any, targets: Any, loss_of: Callable[..., Any] = F.mse_loss):
    """A loss between the model's output and the target; several inputs are given as a tuple."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        output = model(*x) if isinstance(x, tuple) else model(x)
        loss = loss_of(output, y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (inputs, targets))


def own_loss(model: nn.Module, *inputs: Any) -> smokestep.Training:
    """A model whose call gives the loss itself."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = model(*batch)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, inputs)
