"""Layers written by hand are told as layers, from graphs made by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("jax")

from smokestep.backends.jax.layers import with_layers
from smokestep.evidence.flow import Backward, Graph, Op, Value


def graph(values: dict[int, Value], *ops: Op, root: int) -> Graph:
    return Graph(0, values, ops, (Backward(0, (root,)),))


def value(number: int, kind: str, *shape: int, name: str = "", dtype: str = "float32") -> Value:
    return Value(number, 0, kind, name, None, shape, dtype, kind in ("parameter", "made"))


def product(number: int, reads: tuple[int, int], made: int, first: int, units: int) -> Op:
    return Op(number, 0, "matmul", reads, (made,), args={"first": first, "units": units})


def told(found: Graph) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    return [(op.name, op.reads, op.makes) for op in found.ops]


def test_a_product_and_its_bias_are_a_linear_layer() -> None:
    values = {
        1: value(1, "input", 8, 4),
        2: value(2, "parameter", 4, 5, name="w"),
        3: value(3, "parameter", 5, name="b"),
        4: value(4, "made", 8, 5),
        5: value(5, "made", 8, 5),
    }
    found = with_layers(graph(values, product(1, (1, 2), 4, 0, 1), Op(2, 0, "add", (4, 3), (5,)), root=5))
    assert told(found) == [("linear", (1, 2, 3), (5,))]
    assert found.ops[0].args == {"units": 1}


def test_a_weight_before_its_samples_is_turned_with_what_turns_the_result() -> None:
    values = {
        1: value(1, "parameter", 5, 4, name="w"),
        2: value(2, "input", 8, 4),
        3: value(3, "made", 5, 8),
        4: value(4, "made", 8, 5),
        5: value(5, "parameter", 5, name="b"),
        6: value(6, "made", 8, 5),
    }
    ops = (
        product(1, (1, 2), 3, 0, 0),
        Op(2, 0, "permute", (3,), (4,), args={"dims": (1, 0)}),
        Op(3, 0, "add", (4, 5), (6,)),
    )
    found = with_layers(graph(values, *ops, root=6))
    assert told(found) == [("linear", (2, 1, 5), (6,))]
    assert found.ops[0].args == {"units": 0}


def test_a_turned_weight_is_the_weight() -> None:
    values = {
        1: value(1, "input", 8, 4),
        2: value(2, "parameter", 5, 4, name="w"),
        3: value(3, "made", 4, 5),
        4: value(4, "made", 8, 5),
    }
    ops = (Op(1, 0, "permute", (2,), (3,), args={"dims": (1, 0)}), product(2, (1, 3), 4, 0, 1))
    found = with_layers(graph(values, *ops, root=4))
    assert told(found) == [("matmul", (1, 2), (4,))]
    assert found.ops[0].args == {"units": 0}


def test_what_is_read_twice_stays_as_it_is() -> None:
    values = {
        1: value(1, "input", 8, 4),
        2: value(2, "parameter", 4, 5, name="w"),
        3: value(3, "parameter", 5, name="b"),
        4: value(4, "made", 8, 5),
        5: value(5, "made", 8, 5),
        6: value(6, "made", 8, 5),
    }
    ops = (product(1, (1, 2), 4, 0, 1), Op(2, 0, "add", (4, 3), (5,)), Op(3, 0, "mul", (4, 5), (6,)))
    found = with_layers(graph(values, *ops, root=6))
    assert [op.name for op in found.ops] == ["matmul", "add", "mul"]


def test_scores_of_data_are_no_layer() -> None:
    values = {number: value(number, "made" if number == 3 else "input", 8, 8) for number in (1, 2, 3)}
    found = with_layers(graph(values, product(1, (1, 2), 3, 0, 1), root=3))
    assert told(found) == [("matmul", (1, 2), (3,))]
    assert found.ops[0].args == {"units": 1}


def test_rows_that_indices_pick_are_an_embedding() -> None:
    values = {
        1: value(1, "parameter", 30, 6, name="table"),
        2: value(2, "input", 4, 7, dtype="int32"),
        3: value(3, "made", 4, 7, 6),
    }
    found = with_layers(graph(values, Op(1, 0, "__getitem__", (2, 1), (3,)), root=3))
    assert told(found) == [("embedding", (2, 1), (3,))]
