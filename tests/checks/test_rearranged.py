"""Where a reshape renames dimensions: the rule on shapes, and the check on hand-written graphs."""

from __future__ import annotations

import pytest

from smokestep.checks.wiring.view_for_transpose import view_for_transpose
from smokestep.evidence.flow import Backward, Flow, Graph, Op, Value, ValueKind
from smokestep.evidence.rearranged import segments
from smokestep.findings import Finding, Line, NotApplicable

HERE = Line("net.py", 7, "x = x.view(...)")


def graph(before: tuple[int, ...], after: tuple[int, ...], *, kind: ValueKind = "input", name: str = "view") -> Graph:
    """One reshape of a value, and the loss that comes of it."""
    values = {
        0: Value(0, 0, kind, shape=before),
        1: Value(1, 0, "made", op=0, shape=after, requires_grad=True),
        2: Value(2, 0, "made", op=1, shape=(), requires_grad=True),
    }
    ops = (Op(0, 0, name, (0,), (1,), line=HERE, caller=HERE), Op(1, 0, "mean", (1,), (2,), line=HERE, caller=HERE))
    return Graph(0, values, ops, (Backward(0, (2,), HERE),))


def told(seen: Graph) -> list[Finding]:
    return [each for each in view_for_transpose.judge(Flow((seen,))) if isinstance(each, Finding)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((8, 10, 12, 3), (8, 3, 10, 12)),  # channels last as channels first
        ((4, 3, 7, 5), (4, 7, 15)),  # heads merged behind the time
        ((4, 7, 15), (4, 3, 7, 5)),  # and split in front of it
        ((4, 1, 7, 5), (4, 5, 7)),
    ],
)
def test_dimensions_in_another_order_are_told(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    (one,) = told(graph(before, after))
    assert one.cause == HERE and str(list(before)) in one.message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((4, 7, 15), (4, 7, 3, 5)),  # a split
        ((4, 7, 3, 5), (4, 7, 15)),  # a merge
        ((4, 7, 5), (28, 5)),
        ((8, 3, 10, 12), (8, 360)),
        ((4, 6, 10), (4, 3, 20)),  # frames stacked in twos
        ((4, 1, 7), (4, 7, 1)),
        ((2, 4, 4, 8), (2, 32, 4)),  # four numbers of each anchor at each place of a map
        ((2, 32, 4), (2, 4, 4, 8)),
        ((6, 4), (4, 6)),  # the batch is torn: another check's
        ((4, 0, 3), (4, 3, 0)),
    ],
)
def test_splits_merges_and_new_axes_are_not(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    assert told(graph(before, after)) == []


def test_parameters_may_be_laid_out_in_any_way_and_other_calls_move_entries() -> None:
    assert told(graph((8, 10, 12, 3), (8, 3, 10, 12), kind="parameter")) == []
    assert told(graph((8, 10, 12, 3), (8, 3, 10, 12), name="permute")) == []


def test_without_a_backward_there_is_nothing_to_judge() -> None:
    assert [type(each) for each in view_for_transpose.judge(Flow(()))] == [NotApplicable]


def test_segments_hold_as_many_entries_on_both_sides() -> None:
    assert list(segments((2, 3, 4, 5), (2, 12, 1, 5))) == [((2,), (2,)), ((3, 4), (12,)), ((5,), (5,))]
    assert list(segments((6, 4), (4, 6))) == [((6, 4), (4, 6))]
