"""Layers: the layers that a program of JAX writes out by hand, told as the layers they are.

`x @ w + b` is a linear layer, `w @ x` under a `vmap` too, a weight that is read as `w.T` is that weight, and rows that
indices pick from a table of parameters are an embedding. Only where nothing else reads what lies between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smokestep.evidence.flow import Graph, Op, Value

PRODUCTS = frozenset({"linear", "matmul"})
SPREADS = frozenset({"expand", "reshape", "unsqueeze"})  # what makes a bias as wide as what it is added to
FIRST = "first"  # the argument that says which dimension of the first operand counts the units, if that is the weight


def with_layers(graph: Graph) -> Graph:
    """The graph with its layers written by hand as layers."""
    ops = _upright(graph)
    ops = _samples_first(replace(graph, ops=tuple(ops)))
    ops = _linear(replace(graph, ops=tuple(ops)))
    ops = [_embedding(_dropout(op, graph.values), graph.values) for op in ops]
    return replace(graph, ops=tuple(ops))


def _upright(graph: Graph) -> list[Op]:
    """The ops, the transposes of weights that only products read left out: each product reads the weight itself."""
    readers, turned = graph.readers(), dict[int, int]()
    for op in graph.ops:
        if op.name != "permute" or len(op.reads) != 1 or len(op.makes) != 1 or op.args.get("dims") != (1, 0):
            continue
        after = readers.get(op.makes[0], ())
        if _weight(graph.values, op.reads[0]) and after and op.makes[0] not in graph.roots:
            if all(each.name in PRODUCTS and op.makes[0] in each.reads[:2] for each in after):
                turned[op.makes[0]] = op.reads[0]
    kept = []
    for op in graph.ops:
        if len(op.makes) == 1 and op.makes[0] in turned:
            continue
        if op.name in PRODUCTS and not turned.keys().isdisjoint(op.reads):
            args = dict(op.args)
            for place, word in ((0, FIRST), (1, "units")):
                if op.reads[place] in turned and isinstance(args.get(word), int):
                    args[word] = 1 - args[word]
            op = replace(op, reads=tuple(turned.get(read, read) for read in op.reads), args=args)
        kept.append(op)
    return kept


def _product(op: Op, values: Mapping[int, Value]) -> Op:
    """A product with its weight in the second place, as a layer has it."""
    args: dict[str, Any] = dict(op.args)
    first = args.pop(FIRST, None)
    if op.name not in PRODUCTS:
        return replace(op, args=args) if first is not None else op
    one, *rest = op.reads or (-1,)
    if first is not None and rest and _weight(values, one) and not _parameter(values, rest[0]):
        return replace(op, reads=(rest[0], one, *rest[1:]), args={**args, "units": first})
    return replace(op, args=args)


def _samples_first(graph: Graph) -> list[Op]:
    """The ops, each product with its weight in the second place; where that was the first, units came before samples,
    and what puts them after is a part of it."""
    readers, kept, gone = graph.readers(), _kept(graph), set[int]()
    new: dict[int, Op] = {}
    for op in graph.ops:
        made = _product(op, graph.values)
        after = readers.get(op.makes[0], ()) if made.reads != op.reads and len(op.makes) == 1 else ()
        if len(after) == 1 and after[0].name == "permute" and op.makes[0] not in kept:
            size = len(graph.values[op.makes[0]].shape)
            if after[0].args.get("dims") == (*range(1, size), 0):
                gone.add(op.id)
                new[after[0].id] = replace(made, id=after[0].id, makes=after[0].makes)
        new.setdefault(op.id, made)
    return [new[op.id] for op in graph.ops if op.id not in gone]


def _kept(graph: Graph) -> frozenset[int]:
    """The values that stay as they are: what is differentiated, and what models give."""
    return graph.roots.union(*(call.outputs for call in graph.calls))


def _linear(graph: Graph) -> list[Op]:
    """The ops, each product with a weight and the addition of its bias told as one."""
    readers, values, gone = graph.readers(), graph.values, set[int]()
    new: dict[int, Op] = {}
    kept = _kept(graph)
    for op in graph.ops:
        if op.name != "matmul" or len(op.reads) != 2 or len(op.makes) != 1 or op.makes[0] in kept:
            continue
        units = op.args.get("units")
        after = readers.get(op.makes[0], ())
        if not _weight(values, op.reads[1]) or not isinstance(units, int) or len(after) != 1:
            continue
        (added,) = after
        others = [read for read in added.reads if read != op.makes[0]]
        if added.name != "add" or len(others) != 1 or len(added.reads) != 2 or added.grad != op.grad:
            continue
        bias, between = others[0], []
        while (maker := graph.maker(bias)) is not None and maker.name in SPREADS and len(maker.reads) == 1:
            if len(readers.get(bias, ())) != 1:
                break
            between.append(maker.id)
            bias = maker.reads[0]
        wide = values[op.reads[1]].shape[units]
        if not _parameter(values, bias) or math.prod(values[bias].shape) != wide:
            continue
        gone.update((op.id, *between))
        new[added.id] = replace(op, id=added.id, name="linear", reads=(*op.reads, bias), makes=added.makes)
    return [new.get(op.id, op) for op in graph.ops if op.id not in gone]


def _dropout(op: Op, values: Mapping[int, Value]) -> Op:
    """A dropout that reads its data first, and makes them first, before its keys."""
    if "dropout" not in op.name or len(op.reads) < 2:
        return op

    def keys_last(value: int) -> bool:
        return not (value in values and values[value].requires_grad)

    return replace(op, reads=tuple(sorted(op.reads, key=keys_last)), makes=tuple(sorted(op.makes, key=keys_last)))


def _embedding(op: Op, values: Mapping[int, Value]) -> Op:
    """Rows picked from a table of parameters by integers, one row for each."""
    if op.name != "__getitem__" or len(op.reads) != 2 or len(op.makes) != 1:
        return op
    for ids, table in (op.reads, op.reads[::-1]):
        if ids not in values or not _weight(values, table) or _parameter(values, ids):
            continue
        given, rows = values[ids], values[op.makes[0]]
        whole = rows.shape in ((*given.shape, values[table].shape[1]), (*given.shape[:-1], values[table].shape[1]))
        if "int" in given.dtype and whole:
            return replace(op, name="embedding", reads=(ids, table))
    return op


def _parameter(values: Mapping[int, Value], value: int) -> bool:
    return value in values and values[value].kind == "parameter"


def _weight(values: Mapping[int, Value], value: int) -> bool:
    return _parameter(values, value) and len(values[value].shape) == 2
