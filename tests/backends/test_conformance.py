"""The facts that every backend must get right, asked of each one."""

from __future__ import annotations

import torch
from torch import nn

import smokestep
from smokestep.backends import torch as torch_backend
from smokestep.testing import conformance


class Unused(nn.Linear):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.unused = nn.Parameter(torch.ones(2))


def build(layer: type[nn.Linear]) -> smokestep.Training:
    model = layer(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(4, 3), torch.randn(4, 2)), model=model, optimizer=optimizer)


def test_torch_conforms() -> None:
    assert not conformance(torch_backend, lambda: build(nn.Linear), lambda: build(Unused))
