"""The checks of loaders on evidence written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.data.unshuffled_data import unshuffled_data
from smokestep.checks.loop.schedule_pace import schedule_pace
from smokestep.evidence.feeds import Feed, Feeds
from smokestep.evidence.losses import LossCall, Losses, Operand
from smokestep.evidence.steps import Event, Group, Optimizer, Steps
from smokestep.findings import Finding, Line

MADE, CALLED = Line("train.py", 3, "loader = …"), Line("train.py", 9, "scheduler.step()")
SORTED = Feed(0, "Digits", 100, 8, True, classes=10, alike=80, line=MADE)


def steps(spent: int | None = 135, calls: int = 1, backwards: int = 1, **more: Any) -> Steps:
    """Three updates, each after `backwards` backward passes and followed by `calls` of the scheduler."""
    events: list[Event] = []
    detail = {"kind": "ExponentialLR", "explicit": False} | ({"spent": spent} if spent else {})
    for step in range(3):
        kinds = ["backward"] * backwards + ["update"] + ["scheduler"] * calls
        for kind in kinds:
            told = detail if kind == "scheduler" else {}
            events.append(Event(len(events) + 1, step, kind, CALLED, "adam", ("w",), told))  # type: ignore[arg-type]
    optimizer = Optimizer("adam", "Adam", (Group(("w",), (0.1,)),), updates=3)
    return Steps(3, tuple(events), (), (), (optimizer,), (None,) * 3, **more)


def found(check: Any, made: Steps, feed: Feed, *others: Any) -> list[Finding]:
    return [each for each in check.judge(made, Feeds((feed,)), *others) if isinstance(each, Finding)]


@pytest.mark.parametrize(
    ("made", "feed", "wrong"),
    [
        (steps(), replace(SORTED, batches=938), True),
        (steps(), replace(SORTED, batches=300), False),  # not within a quarter
        (steps(), replace(SORTED, batches=None), False),  # no length
        (steps(spent=None), replace(SORTED, batches=938), False),  # another kind of schedule
        (steps(calls=0), replace(SORTED, batches=938), False),  # stepped once an epoch
        (steps(calls=2), replace(SORTED, batches=938), False),  # two schedulers of one optimizer
        (steps(backwards=4), replace(SORTED, batches=938), False),  # accumulates: 234 updates an epoch
        (steps(own_loop=True), replace(SORTED, batches=938), False),
    ],
)
def test_schedule_pace(made: Steps, feed: Feed, wrong: bool) -> None:
    assert bool(found(schedule_pace, made, feed)) is wrong


@pytest.mark.parametrize(
    ("feed", "wrong"),
    [
        (SORTED, True),
        (replace(SORTED, sequential=False), False),
        (replace(SORTED, classes=None, alike=0), False),  # not sorted, or not known
        (replace(SORTED, classes=1), False),
        (replace(SORTED, alike=4), False),  # less than a batch of each
        (replace(SORTED, batches=3), False),
        (replace(SORTED, batch_size=None), False),  # a batch sampler
        (replace(SORTED, batch_size=1), False),
    ],
)
def test_unshuffled_data(feed: Feed, wrong: bool) -> None:
    assert bool(found(unshuffled_data, steps(), feed, Losses(()))) is wrong


@pytest.mark.parametrize(("shape", "high", "wrong"), [((8,), 0.0, True), ((8,), 3.0, False), ((8, 5), 3.0, True)])
def test_a_data_set_that_mixes_sorted_labels_itself(shape: tuple[int, ...], high: float, wrong: bool) -> None:
    scores = Operand(1, (8, 10), "float32", -1.0, 1.0, True)
    labels = Operand(2, shape, "int64", 0.0, high, False)
    losses = Losses((LossCall(0, "cross_entropy", scores, labels, 3, 2.3, classes=10),))
    assert bool(found(unshuffled_data, steps(), SORTED, losses)) is wrong


def test_the_loader_of_a_training_is_the_last_one_begun_before_it() -> None:
    watched, given = steps(kind="live"), steps()
    validation = replace(SORTED, line=Line("train.py", 4, "test_loader = …"))
    training = replace(SORTED, sequential=False)
    assert Feeds((validation, training)).training(watched) is training
    assert Feeds((training, validation)).training(watched) is validation
    assert Feeds((training, validation)).training(given) is None  # which one gave the batch?
    assert Feeds((training, replace(validation, index=5))).training(given) is training  # begun after an update
    assert Feeds(()).training(watched) is None
