"""What a function that builds a training hands out from outside of it is afterwards, bit for bit, as it was before."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import smokestep
from smokestep.findings import Severity

model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
optimizer = torch.optim.Adam(model.parameters())
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
generator = torch.Generator()
inputs, targets = torch.randn(6, 3), torch.randn(6, 2)
notes: list[float] = []


def step() -> torch.Tensor:
    optimizer.zero_grad()
    noise = torch.randn(6, 3, generator=generator)
    loss = nn.functional.mse_loss(model(inputs + noise), targets)
    loss.backward()
    optimizer.step()
    scheduler.step()
    notes.append(float(loss.detach()))
    return loss


def everything() -> str:
    gradients = [None if own.grad is None else own.grad.clone() for own in model.parameters()]
    states = copy.deepcopy((model.state_dict(), optimizer.state_dict(), scheduler.state_dict()))
    torch.set_printoptions(precision=10, threshold=10**6)
    try:
        return str((states, gradients, generator.get_state().tolist(), [each.training for each in model.modules()]))
    finally:
        torch.set_printoptions(profile="default")


@pytest.fixture(autouse=True)
def _trained() -> Iterator[None]:
    step()
    notes.clear()
    yield


def closed() -> smokestep.Training:
    mine = model

    def own() -> torch.Tensor:
        mine.eval()
        return step()

    return smokestep.Training(own)


@pytest.mark.parametrize("factory", [lambda: smokestep.Training(step), closed])
def test_outer_objects_are_put_back(factory) -> None:
    before = everything()
    report = smokestep.examine(factory)
    assert everything() == before and report.error is None


def test_the_report_has_nothing_to_say_of_it() -> None:
    report = smokestep.examine(lambda: smokestep.Training(step))
    assert [each.check for each in report.findings if each.severity is Severity.DEFECT] == []
    assert "private-world" not in {each.check for each in report.findings}


def test_a_list_that_the_step_writes_to_is_the_users_own_note() -> None:
    smokestep.examine(lambda: smokestep.Training(step))
    assert len(notes) == 3


def test_outer_objects_are_put_back_when_the_step_raises() -> None:
    def failing() -> None:
        step()
        raise ValueError("here")

    before = everything()
    assert smokestep.examine(lambda: smokestep.Training(failing)).error is not None
    assert everything() == before


def test_the_generators_of_the_process_are_put_back() -> None:
    before = torch.get_rng_state()
    smokestep.examine(lambda: smokestep.Training(step))
    assert torch.equal(torch.get_rng_state(), before)
