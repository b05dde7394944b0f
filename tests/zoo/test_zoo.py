"""Healthy trainings raise no defect, and no suspicion but those that an entry declares with a reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import smokestep

from .plain import moved, snapshot
from .registry import Entry, entries

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors only lose by threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("entry", [pytest.param(each, id=each.name) for each in entries()])
def test_healthy_training_stays_silent(entry: Entry) -> None:
    built: list[tuple[smokestep.Training, dict[str, torch.Tensor]]] = []

    def factory() -> smokestep.Training:
        training = entry.build()
        built.append((training, snapshot(training.steps)))
        return training

    report = smokestep.examine(factory, steps=entry.steps)

    assert report.error is None
    assert [str(each) for each in report.defects] == []
    assert [str(each) for each in report.suspicions if each.check not in entry.suspicions] == []
    assert set(entry.suspicions) == {each.check for each in report.suspicions}, "declared, and not raised any more"
    trained = [path for training, before in built for path in moved(before, training.steps)]
    assert bool(trained) != bool(entry.still), "an entry must really train: nothing that its step holds has moved"


def test_zoo_is_wide_enough() -> None:
    assert len(entries()) >= 55


def test_every_declared_suspicion_has_a_reason() -> None:
    assert [each.name for each in entries() for reason in each.suspicions.values() if len(reason) < 20] == []
