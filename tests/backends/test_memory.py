"""A recording keeps nothing alive: no activation within a step, and nothing of the user's after the examination."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import smokestep

alive: dict[str, weakref.ref[Any]] = {}
seen: list[set[str]] = []


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    alive.clear()
    seen.clear()
    yield


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.first(x)
        after = self.norm(torch.exp(before))
        alive.update(before=weakref.ref(before), after=weakref.ref(after))
        detached = torch.tensor(after.detach()[0].tolist()) + torch.from_numpy(after.detach().numpy()).sum()
        alive["detached"] = weakref.ref(detached)
        return self.last(after + 0 * detached.sum())


def living() -> set[str]:
    return {name for name, ref in alive.items() if ref() is not None}


def training(fails: bool = False) -> smokestep.Training:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    alive.update(model=weakref.ref(model), optimizer=weakref.ref(optimizer))

    def step(batch: Any) -> torch.Tensor:
        seen.append(living())
        optimizer.zero_grad()
        output = model(batch[0])
        seen.append(living())
        loss = F.cross_entropy(output, batch[1])
        alive["loss"] = weakref.ref(loss)
        loss.backward()
        if fails:
            raise ValueError("the user's")
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(4, 8), torch.randint(0, 2, (4,))))


def test_what_a_plain_step_frees_is_free() -> None:
    plain = training()
    for _ in range(3):
        plain.steps[""](plain.batch)
    expected = list(seen)
    seen.clear()
    smokestep.examine(training)
    assert seen == expected


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_outlives_an_examination(fails: bool) -> None:
    smokestep.examine(lambda: training(fails))
    gc.collect()
    assert living() == set()


def test_nothing_outlives_an_error_that_was_raised_again() -> None:
    with pytest.raises(RuntimeError):
        smokestep.verify(lambda: training(True))
    gc.collect()
    assert living() == set()


def test_a_watched_loop_keeps_what_the_user_keeps() -> None:
    mine = training()
    with smokestep.watch():
        for _ in range(4):
            mine.steps[""](mine.batch)
    assert living() == {"model", "optimizer"}
    del mine
    gc.collect()
    assert living() == set()


PEAK = """
import re, sys
import torch
from torch import nn
import smokestep

def peak():  # not ru_maxrss, which begins at the size of the process that forked this one
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(1)
width, rows = 256, 16384

def training():
    layers = [layer for _ in range(6) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters())
    def step(batch):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss
    return smokestep.Training(step, (torch.randn(rows, width), torch.randint(0, 10, (rows,))))

smokestep.examine(lambda: smokestep.Training(lambda: None))
before = peak()
if sys.argv[1] == "plain":
    plain = training()
    for _ in range(3):
        plain.steps[""](plain.batch)
else:
    assert not smokestep.examine(training).findings
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is measured in the units of Linux")
def test_the_peak_is_little_above_that_of_the_plain_step() -> None:
    def peak(kind: str) -> int:
        done = subprocess.run([sys.executable, "-c", PEAK, kind], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert peak("recorded") <= 1.25 * peak("plain")
