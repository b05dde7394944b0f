"""The checks of learning, on hand-written evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.learning.cannot_overfit import cannot_overfit
from smokestep.checks.learning.climbing_update import climbing_update
from smokestep.checks.learning.diverges import diverges
from smokestep.checks.learning.hasty_updates import hasty_updates
from smokestep.checks.learning.learns_nothing_from_input import learns_nothing_from_input
from smokestep.checks.learning.stands_still import stands_still
from smokestep.evidence.descent import Descent
from smokestep.evidence.flow import Backward, Graph, Op, Value, ValueKind
from smokestep.evidence.learning import Blind, Course, Learning, no_floor
from smokestep.evidence.losses import LossCall, Operand
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable, Open

HERE = Line("train.py", 9, "optimizer.step()")
RESTING = Course((2.0, *[1.5] * 99), moved=0.5)
FALLING = Course(tuple(2.0 - 0.005 * step for step in range(100)), moved=0.5)
LEARNED = Course((2.0, 1.0, 0.5, 0.1, 0.09), moved=0.5)


def of(course: Course, **known: object) -> Learning:
    return Learning(samples=8, course=course, loss="cross_entropy", line=HERE, **known)  # type: ignore[arg-type]


def test_a_loss_that_rests_high_is_told():
    (said,) = cannot_overfit.judge(of(RESTING))
    assert isinstance(said, Finding) and said.cause == HERE
    assert "8 samples" in said.message and "2 to 1.5" in said.message and "50%" in said.message
    (said,) = cannot_overfit.judge(replace(of(RESTING), samples=0))
    assert "its batch" in said.message


def test_a_loss_that_is_learned_is_not():
    assert not list(cannot_overfit.judge(of(LEARNED)))


@pytest.mark.parametrize(
    ("learning", "why"),
    [
        (of(FALLING), "still be falling"),
        (of(replace(RESTING, late=True)), "still be falling"),
        (of(RESTING, scheduled=True), "scheduler"),
        (of(replace(RESTING, moved=1e-4)), "moved by 1.0e-04"),
    ],
)
def test_what_may_yet_learn_is_open(learning: Learning, why: str):
    (said,) = cannot_overfit.judge(learning)
    assert isinstance(said, Open) and why in said.reason


@pytest.mark.parametrize(
    "learning",
    [
        Learning(why="no batch"),
        of(RESTING, crowded="too much"),
        of(replace(RESTING, error="ValueError: no")),
        of(Course((1e-5,) * 50, moved=0.5)),
    ],
)
def test_what_cannot_be_judged_is_not(learning: Learning):
    assert [type(each) for each in cannot_overfit.judge(learning)] == [NotApplicable]


def test_a_loss_that_grows_is_told_once():
    grown = of(Course(tuple(2.0 * 1.1**step for step in range(50)), moved=3.0))
    assert not list(cannot_overfit.judge(grown))
    (said,) = diverges.judge(grown)
    assert isinstance(said, Finding) and "still grows" in said.message
    lost = of(Course((2.0, 9.0, math.nan), moved=3.0))
    assert not list(cannot_overfit.judge(lost))
    (said,) = diverges.judge(lost)
    assert isinstance(said, Finding) and "no finite number" in said.message


def test_a_bump_is_no_divergence():
    assert not list(diverges.judge(of(Course((0.1, 9.0, *[8.0 - 0.1 * step for step in range(50)]), moved=1.0))))
    assert not list(diverges.judge(of(RESTING))) and not list(diverges.judge(of(LEARNED)))
    assert [type(each) for each in diverges.judge(Learning(why="no batch"))] == [NotApplicable]


def test_a_course_that_needs_no_input_is_told():
    blind = Blind(wiped=("batch[0]",), course=replace(RESTING, losses=(2.0, *[1.51] * 99)))
    (said,) = learns_nothing_from_input.judge(of(RESTING), blind)
    assert isinstance(said, Finding) and "1.51" in said.message and said.subjects == ("batch[0]",)
    assert not list(learns_nothing_from_input.judge(of(LEARNED), blind))


def test_targets_that_need_no_input_are_no_fault():
    (said,) = learns_nothing_from_input.judge(of(LEARNED), Blind(wiped=("x",), course=LEARNED))
    assert isinstance(said, NotApplicable)


def test_courses_that_are_alike_so_far_are_open():
    (said,) = learns_nothing_from_input.judge(of(FALLING), Blind(wiped=("x",), course=FALLING))
    assert isinstance(said, Open)
    (said,) = learns_nothing_from_input.judge(of(FALLING), Blind(wiped=("x",), course=replace(FALLING, late=True)))
    assert isinstance(said, Open)


def test_what_learned_nothing_at_all_gives_nothing_to_compare():
    (said,) = learns_nothing_from_input.judge(of(Course((2.0,) * 50)), Blind(course=RESTING))
    assert isinstance(said, NotApplicable)
    (said,) = learns_nothing_from_input.judge(of(LEARNED), Blind(why="the targets are computed from the input"))
    assert isinstance(said, NotApplicable)


# ── which losses have a floor of 0 ─────────────────────────────────────────────────────────────────────────────────
def operand(value: int, dtype: str = "float32", **known: object) -> Operand:
    return Operand(value, (8,), dtype, 0.0, 1.0, False, **known)  # type: ignore[arg-type]


def call(name: str = "mse_loss", target: Operand | None = None, **known: object) -> LossCall:
    return LossCall(0, name, operand(1), target or operand(2), 3, 0.5, sign=1, **known)  # type: ignore[arg-type]


def graph(kind: ValueKind = "input", name: str = "batch[1]", more: bool = False) -> Graph:
    """Value 1 comes from a parameter, 2 is the target, 3 the loss; with `more`, 5 adds a parameter to it."""
    values = {
        0: Value(0, 0, "parameter", "w"),
        1: Value(1, 0, "made", op=0),
        2: Value(2, 0, kind, name),
        3: Value(3, 0, "made", op=1),
        5: Value(5, 0, "made", op=2),
    }
    ops = (
        Op(0, 0, "linear", (0,), (1,)),
        Op(1, 0, "mse_loss", (1, 2), (3,)),
        Op(2, 0, "add", (3, 0) if more else (3,), (5,)),
    )
    return Graph(0, values, ops, (Backward(0, (5,), HERE, ("w",)),))


def test_a_loss_on_targets_of_the_batch_has_a_floor_of_zero():
    assert no_floor(graph(), [call()]) == ""
    assert no_floor(graph(), [call("cross_entropy", operand(2, "int64"))]) == ""
    assert no_floor(graph(), [call("binary_cross_entropy_with_logits", operand(2, integral=True))]) == ""


@pytest.mark.parametrize(
    ("seen", "calls"),
    [
        (graph(), []),
        (graph(more=True), [call()]),
        (graph("parameter", "teacher"), [call()]),
        (graph("input", ""), [call()]),
        (graph(), [replace(call(), sign=None)]),
        (graph(), [replace(call(), loss=None)]),
        (graph(), [call("cross_entropy", operand(2, "int64"), label_smoothing=0.1)]),
        (graph(), [call("cross_entropy", operand(2))]),
        (graph(), [call("nll_loss", operand(2, "int64"))]),
        (graph(), [call("kl_div", operand(2))]),
        (graph(), [call("binary_cross_entropy", operand(2, integral=False))]),
    ],
)
def test_of_any_other_the_floor_is_not_known(seen: Graph, calls: list[LossCall]):
    assert no_floor(seen, calls)


# ── how far an update goes ─────────────────────────────────────────────────────────────────────────────────────────
def run(share: float, rates: tuple[float, ...] = (0.1, 0.1, 0.1), *, names: tuple[str, ...] = ("a", "b")) -> Steps:
    moves = tuple(Movement(step, name, 0.1, 0.1, share, 1.0, rate=0.1) for step in range(3) for name in names)
    events = tuple(Event(step, step, "update", HERE) for step in range(3))
    parameters = tuple(Parameter(name, (4, 4), "float32", 16, True) for name in names)
    return Steps(3, events, parameters, moves, (Optimizer("o", "SGD", (Group(names, rates),)),), (1.0, 1.0, 1.0))


def test_weights_that_stand_still_are_told():
    (said,) = stands_still.judge(run(1e-8))
    assert isinstance(said, Finding) and "1.0e-08" in said.message and said.cause == HERE
    assert not list(stands_still.judge(run(1e-3)))


def test_a_rate_that_changes_and_weights_without_update_are_not_judged():
    scheduled = replace(run(1e-8), events=(*run(1e-8).events, Event(9, 0, "scheduler", HERE)))
    for each in (run(1e-8, (0.0, 0.1, 0.2)), run(0.0), scheduled):
        assert [type(said) for said in stands_still.judge(each)] == [NotApplicable]


def test_updates_that_rewrite_most_weights_are_told():
    (said,) = hasty_updates.judge(run(0.5))
    assert isinstance(said, Finding) and said.subjects == ("a", "b") and "2 of 2" in said.message
    assert not list(hasty_updates.judge(run(1e-3)))
    once = run(0.5)
    once = replace(once, movements=tuple(replace(m, update=0.5 if m.step == 0 else 1e-3) for m in once.movements))
    assert not list(hasty_updates.judge(once))


def test_one_matrix_alone_and_weights_that_began_at_zero_do_not_count():
    assert [type(said) for said in hasty_updates.judge(run(0.5, names=("a",)))] == [NotApplicable]
    zero = run(0.5)
    zero = replace(zero, movements=tuple(replace(m, scale=0.5 * m.step) for m in zero.movements))
    assert [type(said) for said in hasty_updates.judge(zero)] == [NotApplicable]


def descended(*losses: float, why: str = "") -> list[Any]:
    return list(climbing_update.judge(Descent(why, losses, "cross_entropy", HERE, HERE)))


def test_an_update_that_goes_downhill_or_overshoots_is_no_climb() -> None:
    assert descended(2.0, 1.9, 1.99) == [] and descended(2.0, 2.5, 1.99) == []


def test_an_update_that_climbs_in_proportion_is_told_with_its_line() -> None:
    [told] = descended(2.0, 2.1, 2.01)
    assert told.cause == HERE and "uphill" in told.message


@pytest.mark.parametrize("losses", [(2.0, 2.000001, 2.0000001), (2.0, 2.011, 2.01)])
def test_a_change_that_says_nothing_is_left_open(losses: tuple[float, ...]) -> None:
    [told] = descended(*losses)
    assert isinstance(told, Open)


def test_a_loss_whose_gradient_may_be_replaced_is_not_judged() -> None:
    [told] = descended(why="a custom function may have a gradient of its own")
    assert isinstance(told, NotApplicable)
