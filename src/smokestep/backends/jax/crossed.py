"""Cross-entropies written by hand: log-probabilities of which those of the labels are picked, averaged and negated.

Told as `nll_loss` of what `log_softmax` made, or as `cross_entropy` of the scores where `logsumexp` is subtracted from
them. Anything else between the pick and the loss (an advantage, a mask, a soft target) makes it something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.origins import COPIES, NORMALISES, TRANSPARENT

PICKS = frozenset({"gather", "__getitem__"})
REDUCES = frozenset({"sum", "mean"})
SCALES = frozenset({"mul", "div"})
GUARDS = frozenset({"add", "clamp", "maximum"})  # what keeps a probability off 0 before its logarithm


@dataclass(frozen=True, slots=True)
class Crossed:
    """One cross-entropy. `logs`: the log-probabilities; `scores`: what they were made of by hand, else None.
    `target`: the labels' indices, or a 1 for each label; None where the rows themselves are the labels.
    `result`: the loss as far as it is averaged, `reduction` as that of a library's loss."""

    op: Op
    logs: int
    scores: int | None
    target: int | None
    class_dim: int
    result: int
    reduction: str


def compared(ops: Sequence[Any]) -> Iterator[tuple[Any, int, int | None]]:
    """Every operation that picks of log-probabilities or weighs them, those, and the scores behind them; of a graph's
    operations or of a sketch's."""
    makers = {made: op for op in ops for made in op.makes}
    for op in ops:
        if op.name not in PICKS and op.name != "mul" or len(op.reads) < 2 or not op.makes:
            continue
        for read in op.reads:
            found, scores = _logarithm(makers, read)
            if found:
                yield op, read, scores
                break


def _logarithm(makers: Mapping[int, Any], value: int) -> tuple[bool, int | None]:
    op = _maker(makers, value)
    if op is None:
        return False, None
    if op.name == "log_softmax":
        return True, None
    if op.name == "log":
        op = _maker(makers, op.reads[0])
        if op is not None and op.name in GUARDS and len(op.reads) == 1:
            op = _maker(makers, op.reads[0])
        return op is not None and op.name == "softmax", None
    if op.name == "sub" and len(op.reads) == 2:
        under = _maker(makers, op.reads[1])
        if under is not None and under.name == "logsumexp" and under.reads[:1] == op.reads[:1]:
            return True, int(op.reads[0])
    return False, None


def _maker(makers: Mapping[int, Any], value: int) -> Any:
    op = makers.get(value)
    while op is not None and op.name in TRANSPARENT and op.reads and len(op.reads) == 1:
        op = makers.get(op.reads[0])
    return op


def crossed(graph: Graph, whole: Mapping[int, np.ndarray], entering: Mapping[int, int | None]) -> Iterator[Crossed]:
    """The cross-entropies of a step. `whole`: entries of values, where they were kept."""
    for op, logs, scores in compared(graph.ops):
        if not graph.values[logs].requires_grad or not graph.values[logs].shape:
            continue
        end = _end(graph, op)
        if end is None or abs(entering.get(end[0]) or 0) != 1:
            continue
        result, reduction, over = end
        own = _own_dim(graph, logs)
        if op.name == "mul":
            found = _weighed(graph, op, logs, whole, over, own)
        else:
            found = _picked(graph, op, logs, own)
        if found is not None:
            yield Crossed(op, logs, scores, found[0], found[1], result, reduction)


def _end(graph: Graph, op: Op) -> tuple[int, str, tuple[int, ...] | None] | None:
    """Where the mean of what was picked ends, negated; how it is reduced; and the dimensions first summed over."""
    readers, value, sign, factor = graph.readers(), op.makes[0], 1, 1.0
    names, over, result = [], None, None
    rows = (graph.values[value].shape or (1,))[0]
    while len(after := readers.get(value, ())) == 1 and len(after[0].reads) == len(after[0].makes) == 1:
        (following,) = after
        numbers = [n for n in following.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
        if following.name in REDUCES:
            if not names and following.name == "sum":
                dims = following.args.get("dim")
                over = (dims,) if isinstance(dims, int) else dims
            names.append(following.name)
        elif following.name == "neg":
            sign = -sign
        elif following.name in SCALES and len(numbers) == 1 and numbers[0]:
            sign = -sign if numbers[0] < 0 else sign
            factor *= abs(numbers[0]) if following.name == "mul" else 1 / abs(numbers[0])
        elif following.name not in COPIES and not _same_size(graph, following):
            break
        value = following.makes[0]
        if sign < 0 and not graph.values[value].shape and (result is None or following.name not in SCALES):
            result = value, factor
    if result is None or sign > 0:
        return None
    mean = "mean" in names or not names or abs(result[1] * rows - 1) < 1e-3
    return result[0], "mean" if mean else "sum", over


def _same_size(graph: Graph, op: Op) -> bool:
    """Whether an index leaves all entries, and takes a dimension of length 1 away."""
    before, after = (graph.values[each].shape for each in (op.reads[0], op.makes[0]))
    return op.name == "__getitem__" and math.prod(before) == math.prod(after)


def _own_dim(graph: Graph, logs: int) -> int:
    """The dimension that was normalised over; the last where that is not told."""
    rank, op = len(graph.values[logs].shape), graph.maker(logs)
    while op is not None and op.name in COPIES and op.reads and len(graph.values[op.reads[0]].shape) == rank:
        op = graph.maker(op.reads[0])
    if op is not None and op.name == "sub":
        op = graph.maker(op.reads[1])
    if op is not None and op.name == "log":
        op = graph.maker(op.reads[0])
    dim = op.args.get("dim") if op is not None and op.name in {*NORMALISES, "logsumexp"} else None
    return dim % rank if isinstance(dim, int) else rank - 1


def _picked(graph: Graph, op: Op, logs: int, own: int) -> tuple[int | None, int] | None:
    """The labels' indices, and the dimension that they count in."""
    indices = [each for each in op.reads if each != logs and "float" not in graph.values[each].dtype]
    if not indices:
        return None
    given = [each for each in indices if any(_source(graph, each))]
    shape, rank = graph.values[logs].shape, len(graph.values[logs].shape)
    dim = own
    if op.name == "gather" and len(given) == 1 and len(graph.values[given[0]].shape) == rank:
        uneven = [d for d in range(rank) if graph.values[given[0]].shape[d] != shape[d]]
        dim = uneven[0] if len(uneven) == 1 else own
    return (_plain(graph, given[0]) if len(given) == 1 else None), dim


def _source(graph: Graph, value: int) -> Iterator[bool]:
    return (graph.values[each].kind != "made" for each in graph.backward_of([value]) if each in graph.values)


def _plain(graph: Graph, value: int) -> int:
    """The value that was only given dimensions of length 1."""
    while (op := graph.maker(value)) is not None and len(op.reads) == 1 and op.name in {*COPIES, "__getitem__"}:
        before, now = (tuple(n for n in graph.values[each].shape if n != 1) for each in (op.reads[0], value))
        if before != now or "float" in graph.values[op.reads[0]].dtype:
            break
        value = op.reads[0]
    return value


def _weighed(
    graph: Graph, op: Op, logs: int, whole: Mapping[int, np.ndarray], over: tuple[int, ...] | None, own: int
) -> tuple[int | None, int] | None:
    """The target that has a 1 for the label of a row and else 0, and its dimension of classes."""
    other = next((each for each in op.reads if each != logs), logs)
    entries, shape = whole.get(other), graph.values[logs].shape
    if entries is None or graph.values[other].requires_grad or entries.shape != shape:
        return None
    wide = entries.astype(np.float64)
    if not np.isin(wide, (0.0, 1.0)).all() or not (wide.any() or shape[own] == 1):
        return None
    fitting = [dim for dim in range(len(shape)) if (wide.sum(dim) <= 1.0).all()]
    if over is not None and len(over) == 1:
        fitting = [dim for dim in fitting if dim == over[0]]
    if not fitting:
        return None
    return other, own if own in fitting else fitting[0]
