"""The check of random keys on uses written by hand: what it tells, and the healthy programs that look like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smokestep.checks.loop.reused_key import reused_key
from smokestep.evidence.flow import Flow, Graph, Op, Value
from smokestep.evidence.keys import Keys, Use
from smokestep.findings import Finding, Line, NotApplicable

HELPER = Line("train.py", 3, "jax.random.bernoulli(key, 0.9, x.shape)")
FIRST, SECOND = Line("train.py", 10, "x = dropout(key, x)"), Line("train.py", 11, "y = dropout(key, y)")


def use(index: int, step: int, key: int, line: Line, kind: Any = "draw", **more: Any) -> Use:
    """One use of a key."""
    own = more.pop("own", (line,))
    return Use(index, step, key, kind, more.pop("name", "bernoulli"), (8,), line, own[0], own=own, **more)


def graph(*ops: tuple[tuple[int, ...], int]) -> Graph:
    """A step of operations, each told by what it reads and the value it makes."""
    numbers = {number for reads, made in ops for number in (*reads, made)}
    values = {number: Value(number, 0, "made", "", None, (8,), "float32", False, None, None) for number in numbers}
    made = tuple(Op(100 + at, 0, "mul", reads, (out,), None, None, "", True) for at, (reads, out) in enumerate(ops))
    return Graph(0, values, made, (), (), ())


def told(uses: Sequence[Use], *graphs: Graph) -> list[Finding]:
    """What the check tells of these uses."""
    return [each for each in reused_key.judge(Keys(tuple(uses), True), Flow(graphs)) if isinstance(each, Finding)]


def test_it_is_not_applicable_without_keys() -> None:
    assert [type(each) for each in reused_key.judge(Keys(), Flow(()))] == [NotApplicable]


def test_two_different_draws_from_one_key_are_told() -> None:
    uses = [use(0, 0, 7, FIRST), use(1, 0, 7, SECOND), use(2, 1, 8, FIRST), use(3, 1, 8, SECOND)]
    assert [each.cause for each in told(uses)] == [SECOND]


def test_a_draw_from_a_key_that_was_split_is_told() -> None:
    uses = [use(0, 0, 7, FIRST, "split", name="split"), use(1, 0, 7, SECOND), use(2, 1, 8, FIRST)]
    assert [each.cause for each in told(uses)] == [SECOND]


def test_a_key_that_is_only_split_is_healthy() -> None:
    assert told([use(0, 0, 7, FIRST, "split"), use(1, 0, 8, SECOND), use(2, 1, 9, FIRST, "split")]) == []


def test_a_key_that_no_step_replaces_is_told_once() -> None:
    found = told([use(step, step, 7, FIRST) for step in range(3)])
    assert [(each.cause, "in each of 3 steps" in each.message) for each in found] == [(FIRST, True)]


def test_a_key_drawn_from_in_some_steps_alone_is_healthy() -> None:
    assert told([use(0, 0, 7, FIRST), use(1, 1, 8, FIRST), use(2, 2, 7, FIRST)]) == []


def test_two_layers_in_a_row_that_share_a_key_are_told_on_the_line_that_calls() -> None:
    uses = [
        use(0, 0, 7, HELPER, own=(HELPER, FIRST), made=1),
        use(1, 0, 7, HELPER, own=(HELPER, SECOND), made=4),
        use(2, 1, 8, HELPER, own=(HELPER, FIRST)),
    ]
    steps = graph(((0, 1), 2), ((2,), 3), ((3, 4), 5))  # the second mask is put onto what the first one made
    assert [each.cause for each in told(uses, steps)] == [SECOND]


def test_the_same_noise_for_two_networks_or_an_image_and_its_mask_is_healthy() -> None:
    uses = [
        use(0, 0, 7, HELPER, own=(HELPER, FIRST), made=1),
        use(1, 0, 7, HELPER, own=(HELPER, SECOND), made=4),
        use(2, 1, 8, HELPER, own=(HELPER, FIRST)),
    ]
    beside = graph(((0, 1), 2), ((3, 4), 5), ((2, 5), 6))  # they meet in the loss
    assert told(uses, beside) == []


def test_a_draw_that_is_computed_again_is_healthy() -> None:
    uses = [use(0, 0, 7, FIRST, made=1), use(1, 0, 7, FIRST, made=4), use(2, 1, 8, FIRST, made=1)]
    assert told(uses, graph(((0, 1), 2), ((2, 4), 5))) == []  # the same lines led to both: a rematerialization
