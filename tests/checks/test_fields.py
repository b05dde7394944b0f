"""The checks of what the batch holds, on graphs written by hand: parts that nothing reads, rows that are equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.data.constant_input import constant_input
from smokestep.checks.data.unread_field import unread_field
from smokestep.evidence.flow import Backward, Call, Flow, Graph, Op, Value
from smokestep.evidence.losses import LossCall, Losses, Operand
from smokestep.findings import Finding, Line, NotApplicable, Open

CALLED = Line("train.py", 7, "model(batch['x'])")


def graph(name: str, *readers: str, uniform: bool = False, other: str = "batch['next_obs']", **more: Any) -> Graph:
    """Value 1 is the field, read by a chain of operations; value 20 is another field, which the model is given."""
    values = {1: Value(1, 0, "input", name, uniform=uniform), 20: Value(20, 0, "input", other)}
    values |= {at + 2: Value(at + 2, 0, "made", op=at) for at in range(len(readers))}
    ops = [Op(at, 0, reader, (at + 1,), (at + 2,)) for at, reader in enumerate(readers)]
    calls = (Call(0, 1, "model", (("x", 20),), (), CALLED),)
    return Graph(0, values, (*ops, Op(30, 0, "linear", (20,), ())), (), calls, **more)


NONE = Losses(())


def found(made: Graph, losses: Losses = NONE) -> list[str]:
    return [each.where.path or "" for each in unread_field.judge(Flow((made,)), losses) if isinstance(each, Finding)]


@pytest.mark.parametrize(
    "name",
    ["batch['done']", "batch.terminated", "batch['info']['attention_mask']", "batch.lengths", "batch['weights']"],
)
def test_a_field_of_a_name_that_matters(name: str) -> None:
    assert found(graph(name)) == [name]
    assert found(graph(name, "to", "float")) == [name]  # moved with the rest, and then left alone
    assert found(graph(name, "to", "mul")) == []
    assert found(graph(name, "item")) == []
    assert found(graph(name, uniform=True)) == []


def test_a_name_of_one_letter_is_no_field() -> None:
    assert [type(each) for each in unread_field.judge(Flow((graph("x", other="y"),)), NONE)] == [NotApplicable]


def test_what_is_left_alone() -> None:
    assert [type(each) for each in unread_field.judge(Flow((graph("batch[0]"),)), Losses(()))] == [NotApplicable]
    assert [type(each) for each in unread_field.judge(Flow((graph("batch.mask"),)), Losses(()))] == [NotApplicable]
    opaque = graph("batch.done", opaque=(("scripted module", None),))
    assert [type(each) for each in unread_field.judge(Flow((opaque,)), Losses(()))] == [Open]
    assert found(graph("batch.lengths", other="batch.attention_mask")) == []
    assert found(graph("batch.done", other="batch.attention_mask")) == []
    given = graph("batch.lengths")
    asked = replace(given, calls=(replace(given.calls[0], inputs=(("x", 20), ("lengths", 1))),))
    assert found(asked) == []


def test_a_flag_of_the_end_matters_where_what_follows_is_read() -> None:
    assert found(graph("batch.done", other="batch.s_")) == ["batch.done"]
    assert found(graph("batch.done", other="batch.returns")) == []
    unread = graph("batch.done")
    assert found(replace(unread, ops=(), calls=())) == []


def test_targets_that_are_masked_themselves() -> None:
    operand = Operand(5, (4, 3), "float32", 0.0, 1.0, True)
    masked = Losses((LossCall(0, "cross_entropy", operand, operand, 6, 1.0, ignored=0.25),))
    assert found(graph("batch['attention_mask']"), masked) == []
    assert found(graph("batch['done']"), masked) == ["batch['done']"]


ROW = Line("train.py", 4, "model(x)")


def called(*, varied: bool = False, shape: tuple[int, ...] = (8, 3), learned: bool = False, grad: bool = True) -> Graph:
    """One call of a model whose output is the root."""
    values = {1: Value(1, 0, "input", shape=shape, requires_grad=learned), 2: Value(2, 0, "made", op=0)}
    call = Call(0, 1, "model", (("x", 1),), (2,), ROW, varied=varied, grad=grad)
    return Graph(0, values, (Op(0, 0, "linear", (1,), (2,)),), (Backward(5, (2,)),), (call,))


def against(shape: tuple[int, ...], high: float | None) -> Losses:
    target = Operand(5, shape, "int64", 0.0, high, False)
    return Losses((LossCall(0, "cross_entropy", Operand(2, (8, 3), "float32", 0.0, 1.0, True), target, 6, 1.0),))


def equal(made: Graph, losses: Losses | None = None) -> list[Line | None]:
    found = constant_input.judge(Flow((made,)), losses or against((8,), 1.0))
    return [each.cause for each in found if isinstance(each, Finding)]


def test_equal_rows_with_targets_that_differ() -> None:
    assert equal(called()) == [ROW]
    assert equal(called(varied=True)) == []
    assert equal(called(shape=(1, 3))) == []
    assert equal(called(shape=(100, 3)), against((100,), 1.0)) == []  # only the first 64 were compared
    assert equal(called(learned=True)) == []
    assert equal(called(grad=False)) == []
    assert equal(called(), against((8,), 0.0)) == []
    assert equal(called(), against((8,), None)) == []
    assert equal(called(), against((8, 5), 9.0)) == []  # whether its rows differ is not known
    assert equal(called(), Losses(())) == []
