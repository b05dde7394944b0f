"""The check of kept histories on graphs written by hand."""

from __future__ import annotations

from dataclasses import replace

from smokestep.checks.loop.growing_graph import growing_graph
from smokestep.evidence.flow import Flow, Graph, Op, Value
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Finding, Line

LOSS, SUM = Line("train.py", 5, "loss = …"), Line("train.py", 8, "total += loss")


def graph(step: int, *, kept: bool = False, summed: bool = False, history: bool = True) -> Graph:
    """A loss made from data, and, from the second step on, a sum made from it and the sum of the step before."""
    at = 10 * step
    values = {
        at: Value(at, step, "parameter", requires_grad=True),
        at + 1: Value(at + 1, step, "made", op=at, requires_grad=True, kept=kept),
    }
    ops = [Op(at, step, "cross_entropy", (at,), (at + 1,), LOSS, LOSS)]
    if summed:
        before = (at - 8,) if step else ()
        values[at + 2] = Value(at + 2, step, "made", op=at + 2, requires_grad=history)
        values |= {each: Value(each, step, "carried", requires_grad=history) for each in before}
        ops.append(Op(at + 2, step, "add_", (at + 1, *before), (at + 2,), SUM, SUM))
    return Graph(step, values, tuple(ops), ())


def steps(count: int, updated: int = 9) -> Steps:
    events = tuple(Event(10 * at + 5, at, "update") for at in range(min(count, updated)))
    return Steps(count, events, (), (), (), (None,) * count)


def test_a_leaf_has_no_history() -> None:
    graphs = [graph(step, summed=True) for step in range(3)]
    leaf = [replace(g, ops=(g.ops[0], replace(g.ops[1], name="requires_grad_"))) for g in graphs]
    assert lines(leaf) == []  # the batch is made a leaf in every step
    unseen = [replace(g, ops=(g.ops[0], replace(g.ops[1], grad=False))) for g in graphs]
    assert lines(unseen) == []  # a tensor of the user's own that no_grad() updates in place


def lines(graphs: list[Graph], updated: int = 9) -> list[Line | None]:
    found = growing_graph.judge(Flow(tuple(graphs)), steps(len(graphs), updated))
    return [each.cause for each in found if isinstance(each, Finding)]


def test_a_sum_with_history_is_told_where_it_is_made() -> None:
    assert lines([graph(step, summed=True) for step in range(3)]) == [SUM]
    assert lines([graph(step, summed=True, history=False) for step in range(3)]) == []
    assert lines([graph(0), graph(1, summed=True), graph(2, summed=True)]) == []  # begun anew in the second


def test_what_is_held_of_every_step_is_told_where_it_is_made() -> None:
    assert lines([graph(0, kept=True), graph(1, kept=True), graph(2)]) == [LOSS]
    assert lines([graph(0), graph(1, kept=True), graph(2, kept=True)]) == []  # of the last two only
    assert lines([graph(0, kept=True), graph(1), graph(2, kept=True)]) == []  # made once, and used ever since


def test_it_takes_three_steps_that_update() -> None:
    assert lines([graph(step, summed=True, kept=True) for step in range(2)]) == []
    assert lines([graph(step, summed=True, kept=True) for step in range(3)], updated=2) == []
    whole = replace(steps(3), own_loop=True)
    assert not [e for e in growing_graph.judge(Flow(()), whole) if isinstance(e, Finding)]
