"""Shapes: whether two tensors that meet in an elementwise call mix their entries, and where that happens by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest

from smokestep.evidence.flow import Graph, Op, Value
from smokestep.evidence.origins import VIEWS, bare
from smokestep.evidence.roots import fed_by_gradient

Shape = tuple[int, ...]
DIFFERENCES = frozenset("sub subtract __sub__ __rsub__ rsub".split())
PRODUCTS = frozenset("mul multiply __mul__ __rmul__".split())
SQUARES = frozenset("pow __pow__ square float_power".split())
AVERAGES = frozenset("mean sum div true_divide __truediv__ mul add neg sqrt".split())
SHAPED_BY_HAND = frozenset("unsqueeze __getitem__ expand view reshape expand_as".split())


def mixes(first: Shape, second: Shape) -> bool:
    """As many entries each, of different rank, and broadcast together to more: every entry of one meets several."""
    if len(first) == len(second) or math.prod(first) != math.prod(second):
        return False
    together: list[int] = []
    for a, b in zip_longest(reversed(first), reversed(second), fillvalue=1):
        if a != b and 1 not in (a, b):
            return False
        together.append(max(a, b))
    return tuple(reversed(together)) not in (first, second)


def repeats(prediction: Shape, target: Shape) -> bool:
    """Sample by sample, one predicted entry is compared with several of the target."""
    if len(prediction) != len(target) or len(target) < 2 or prediction[0] != target[0] or target[0] < 2:
        return False
    pairs = tuple(zip(prediction, target, strict=True))
    return all(a in (b, 1) for a, b in pairs) and prediction != target


def mixed_differences(graph: Graph) -> Iterator[tuple[Op, Shape, Shape, bool]]:
    """Differences and products of a value from the network and one from the data that mix their entries.

    A value without gradient counts as data where it weighs one with, an advantage, if nobody arranged its shape.

    Each with the two shapes, and whether it is certain: a squared difference that is only averaged afterwards, between
    values whose shape nobody arranged for it.
    """
    fed, needed = fed_by_gradient(graph), graph.backward_of(graph.roots)
    computed = graph.forward_of(value.id for value in graph.values.values() if value.kind in ("parameter", "unknown"))
    readers = graph.readers()
    for op in graph.ops:
        if op.name not in DIFFERENCES | PRODUCTS or len(op.reads) != 2 or not op.makes or op.makes[0] not in needed:
            continue
        first, second = (graph.values[read] for read in op.reads)
        if not mixes(first.shape, second.shape):
            continue
        arranged = any(
            (maker := graph.maker(each.id)) is not None and maker.name in SHAPED_BY_HAND for each in (first, second)
        )
        passes, apart = op.makes[0] in fed, (first.id in computed) != (second.id in computed)
        weighs = passes and op.name in PRODUCTS and first.requires_grad != second.requires_grad
        if not (passes and apart) and (arranged or not (weighs or (apart and op.name in DIFFERENCES))):
            continue
        network = first if (first.requires_grad if weighs else first.id in computed) else second
        if not _after_the_network(graph, op, network):
            continue
        squared = False
        value, after = op.makes[0], readers.get(op.makes[0], ())
        while len(after) == 1 and after[0].makes:
            name = bare(after[0].name)
            squared = squared or name in SQUARES or (name == "mul" and after[0].reads == (value, value))
            if name not in SQUARES | AVERAGES | VIEWS:
                break
            value = after[0].makes[0]
            after = readers.get(value, ())
        averaged = not after or value in graph.roots
        yield op, first.shape, second.shape, op.name in DIFFERENCES and passes and squared and averaged and not arranged


def _after_the_network(graph: Graph, op: Op, value: Value) -> bool:
    """The value was computed, and nothing made from the op's result meets a parameter again: it is part of a loss."""
    ahead = graph.forward_of(op.makes)
    again = (each for each in graph.ops if not ahead.isdisjoint(each.reads))
    return value.kind == "made" and not any(
        graph.values[read].kind == "parameter" for each in again for read in each.reads
    )
