"""Summands: the terms added up to what backward was called on, and whether each is a sum or a mean over samples.

Pure questions to one step's graph; a term whose reduction is not seen, or that no sample enters, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.losses import Losses
from smokestep.evidence.origins import VIEWS, bare

ADDS = frozenset("add __add__ __radd__ __iadd__ sub subtract __sub__ __isub__".split())
SCALES = frozenset("mul multiply __mul__ __rmul__ __imul__ div divide true_divide __truediv__ __itruediv__".split())
NEGATES = frozenset("neg negative __neg__".split())


@dataclass(frozen=True, slots=True)
class Summand:
    """One term. `op`: what reduced it, a "sum" or a "mean" over `shape`, whose first dimension counts samples.

    `factor`: the plain number that it is multiplied by, its sign left out.
    """

    op: Op
    reduction: str
    shape: tuple[int, ...]
    factor: float


def summands(graph: Graph, losses: Losses, root: int) -> tuple[Summand, ...]:
    """The terms of one root, in the order of the sum."""
    calls = {call.result: call for call in losses.calls if call.step == graph.step}
    sizes = {graph.values[value].shape[0] for call in graph.calls for _, value in call.inputs if _rows(graph, value)}
    computed = graph.forward_of(value for call in graph.calls for value in call.outputs)
    found = []
    for value, factor in terms(graph, root):
        op = graph.maker(value)
        if op is None or not op.reads or op.reads[0] not in computed:
            continue
        call = calls.get(value)
        shape = call.prediction.shape if call else graph.values[op.reads[0]].shape
        reduction = call.reduction if call else bare(op.name)
        if reduction == "sum" and _divided(graph, value, shape[:1]):
            continue  # a mean over the samples, in two steps
        if reduction in ("sum", "mean") and len(shape) > 1 and shape[0] in sizes and not graph.values[value].shape:
            found.append(Summand(op, reduction, shape, factor))
    return tuple(found)


def _divided(graph: Graph, value: int, by: tuple[int, ...]) -> bool:
    """Whether a number is divided by this one before anything but plain factors is done with it."""
    while len(after := graph.readers().get(value, ())) == 1 and len(after[0].reads) == 1 and after[0].makes:
        numbers = [n for n in after[0].args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
        if "div" in after[0].name and numbers and numbers[0] in by:
            return True
        if bare(after[0].name) not in SCALES | NEGATES:
            return False
        value = after[0].makes[0]
    return False


def _rows(graph: Graph, value: int) -> bool:
    return value in graph.values and bool(graph.values[value].shape)


def terms(graph: Graph, value: int, factor: float = 1.0, depth: int = 0) -> Iterator[tuple[int, float]]:
    """The values added up to one, each with its number; the walk goes through sums, signs and plain factors."""
    op = graph.maker(value)
    name = bare(op.name) if op is not None else ""
    if op is None or depth > 40:
        return
    numbers = [float(n) for n in op.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
    if name in ADDS and "alpha" not in op.args:
        for read in op.reads:
            yield from terms(graph, read, factor, depth + 1)
    elif name in VIEWS - {"detach", "detach_", "data"} or name in NEGATES:
        yield from terms(graph, op.reads[0], factor, depth + 1)
    elif name in SCALES and len(op.reads) == len(numbers) == 1 and numbers[0] and math.isfinite(numbers[0]):
        number = abs(numbers[0])
        yield from terms(graph, op.reads[0], factor * (number if "mul" in name else 1 / number), depth + 1)
    else:
        yield value, factor
