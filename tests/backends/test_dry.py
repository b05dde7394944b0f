"""A dry run leaves the parameters as they were, also those that the step writes by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep
from smokestep.backends.torch import open_world
from smokestep.privacy import guard


def decayed_through_data(model: nn.Linear) -> None:
    for p in model.parameters():
        p.data.mul_(0.9)


def decayed_in_place(model: nn.Linear) -> None:
    with torch.no_grad():
        model.weight *= 0.9
        model.bias[:2] = 0.5


def decayed_together(model: nn.Linear) -> None:
    with torch.no_grad():
        torch._foreach_mul_(list(model.parameters()), 0.9)


def replaced(model: nn.Linear) -> None:
    model.weight.data = model.weight.data + 1
    model.weight.data.mul_(0.5)


@pytest.mark.parametrize("write", [decayed_through_data, decayed_in_place, decayed_together, replaced])
def test_what_a_step_writes_by_hand_is_put_back(write: Any) -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(batch: Any) -> None:
        write(model)
        optimizer.zero_grad()
        F.cross_entropy(model(batch), torch.arange(6) % 3).backward()
        optimizer.step()

    with guard(), open_world(lambda: smokestep.Training(step, torch.randn(6, 4)), seed=0, steps=2) as world:
        world.recording()
        before = [(each.data_ptr(), each.detach().clone()) for each in model.parameters()]
        lab = world.lab()
        first, second = lab.dry(), lab.dry()
        after = [(each.data_ptr(), each.detach().clone()) for each in model.parameters()]
    assert first == second and not first.error
    assert [place for place, _ in before] == [place for place, _ in after]
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(before, after, strict=True))
