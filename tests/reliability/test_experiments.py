"""The experiments of an examination leave a training, its loop and the process as they were."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from tests.reliability.traces import alive
from torch import nn

import smokestep

BATCH = torch.randn(8, 6), torch.randint(0, 3, (8,))


class Net(nn.Module):
    """Dropout, statistics, attributes that a call changes, a layer hidden in a list, and a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(16, 3)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.register_buffer("seen", torch.zeros(2), persistent=False)
        self.calls, self.sums, self.last, self.fault = 0, [], None, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.fault is not None and self.calls > self.fault:
            raise KeyboardInterrupt
        self.seen += 1
        self.sums.append(float(x.sum()))
        self.last = self.body(x)
        return self.head(self.last)


def parts(model: nn.Module):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.item()

    return optimizer, step


def bits(tensor: torch.Tensor | None) -> object:
    return None if tensor is None else (tensor.shape, tensor.detach().clone().numpy().tobytes())


def everything(model: Net, optimizer: torch.optim.Optimizer) -> dict[str, object]:
    return {
        "parameters": [
            (id(p), p.data_ptr(), p.requires_grad, bits(p), id(p.grad), bits(p.grad)) for p in model.parameters()
        ],
        "buffers": [(name, id(each), bits(each)) for name, each in model.named_buffers()],
        "modes": [each.training for each in model.modules()],
        "attributes": (model.calls, list(model.sums), id(model.sums), id(model.last), bits(model.last)),
        "optimizer": [{name: bits(each) for name, each in state.items()} for state in optimizer.state.values()],
        "groups": [{name: each for name, each in g.items() if name != "params"} for g in optimizer.param_groups],
        "random": (torch.get_rng_state().tolist(), random.getstate()),
        "settings": (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
            list(warnings.filters),
            sys.stdout,
            sys.stderr,
        ),
        "batch": [bits(each) for each in BATCH],
    }


@pytest.fixture(params=[True, False])
def fast_path(request) -> Iterator[None]:
    """Torch's fast path of attention, on or off as the user has it."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(request.param)
    yield
    torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_living_training_is_the_same_bit_for_bit_after_every_experiment(steps_before, fast_path) -> None:
    model = Net()
    optimizer, step = parts(model)
    for _ in range(steps_before):
        step(BATCH)
    model.eval()
    model.body[3].train()
    before = everything(model, optimizer)
    smokestep.examine(smokestep.Training(step, BATCH), select=["all"])
    after = everything(model, optimizer)
    assert {name for name in before if before[name] != after[name]} == set()


def test_a_training_that_is_interrupted_in_an_experiment_is_put_back() -> None:
    model = Net()
    optimizer, step = parts(model)
    before = everything(model, optimizer)
    model.fault = 5  # three recorded calls, and two of experiments
    with pytest.raises(KeyboardInterrupt):
        smokestep.examine(smokestep.Training(step, BATCH))
    after = everything(model, optimizer)
    assert {name for name in before if before[name] != after[name]} == set()


@pytest.mark.parametrize("select", [["default"], ["all"]])
def test_a_watched_loop_goes_on_as_if_never_watched(select) -> None:
    def trained(watched: bool) -> list[object]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Net()
            _, step = parts(model)
            if watched:
                with smokestep.watch(select=select) as seen:
                    losses = [step(BATCH) for _ in range(6)]
                assert seen.report.experiments
            else:
                losses = [step(BATCH) for _ in range(6)]
            losses += [step(BATCH) for _ in range(6)]
            return [
                losses,
                model.calls,
                torch.get_rng_state().tolist(),
                *(bits(each) for each in model.state_dict().values()),
            ]

    assert trained(watched=True) == trained(watched=False)


def test_a_training_on_the_meta_device_is_told_to_show_nothing() -> None:
    model = nn.Linear(6, 3, device="meta")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with smokestep.watch() as seen:
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(8, 6, device="meta")).sum().backward()
            optimizer.step()
    assert not seen.report.findings
    assert "meta device" in seen.report.notes[0]


def test_a_look_at_a_meta_copy_does_not_end_the_recording() -> None:
    model = Net()
    _, step = parts(model)
    with smokestep.watch() as seen:
        for _ in range(4):
            nn.Linear(6, 3, device="meta")(torch.randn(8, 6, device="meta"))
            step(BATCH)
    assert seen.report.steps == 3
    assert not seen.report.defects


def test_five_examinations_hold_no_more_than_one() -> None:
    before = alive(nn.Module), alive(torch.Tensor), alive(torch.optim.Optimizer)
    for _ in range(5):

        def training() -> smokestep.Training:
            return smokestep.Training(parts(Net())[1], BATCH)

        smokestep.examine(training, select=["all"])
    assert (alive(nn.Module), alive(torch.Tensor), alive(torch.optim.Optimizer)) == before
