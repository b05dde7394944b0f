"""Recognised losses: those of optax, and cross-entropies written by hand, each with what it was given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from smokestep.backends.jax.cells import Cell, Made, Turn
from smokestep.backends.jax.crossed import Crossed, crossed
from smokestep.backends.jax.sides import sides
from smokestep.backends.jax.vocabulary import KERAS_LOSSES, OF_SCORES
from smokestep.evidence.flow import Graph
from smokestep.evidence.losses import LossCall, Operand
from smokestep.evidence.origins import bare, maker_of, normalised_along, signs

EPSILON, TOLERANCE = 1e-7, 1e-3  # by which Keras keeps probabilities from 0 and 1; by which they may be rounded over 1
CLASSED = frozenset({"cross_entropy", "nll_loss"})


def calls(turns: Sequence[Turn], graphs: Sequence[Graph]) -> Iterator[LossCall]:
    """Every recognised loss call of all steps."""
    for turn, graph in zip(turns, graphs, strict=True):
        needed, entering = graph.backward_of(graph.roots), signs(graph)
        for op in turn.ops:
            if op.kind == "loss" and op.reads:
                yield _told(op, turn, graph, needed, entering)
        whole = {number: cell.whole for number, cell in turn.cells.items() if cell.whole is not None}
        for each in crossed(graph, whole, entering):
            yield _by_hand(each, turn, graph, needed, entering)


def _by_hand(each: Crossed, turn: Turn, graph: Graph, needed: frozenset[int], entering: Any) -> LossCall:
    scores = turn.cells[each.logs if each.scores is None else each.scores]
    target = turn.cells[each.target] if each.target is not None else None
    rows = each.class_dim if target is not None and target.shape == scores.shape else None
    return LossCall(
        step=turn.step,
        name="nll_loss" if each.scores is None else "cross_entropy",
        prediction=_operand(scores, graph, each.class_dim),
        target=_operand(target, graph, rows, True) if target is not None else None,
        result=each.result,
        loss=_number(turn.cells[each.result]),
        line=each.op.line,
        caller=each.op.caller,
        module=each.op.module,
        reduction=each.reduction,
        classes=scores.shape[each.class_dim],
        class_dim=each.class_dim,
        reaches_root=each.result in needed,
        gradient=scores.gradient,
        grad=each.op.grad,
        sign=entering.get(each.result),
    )


def _told(op: Made, turn: Turn, graph: Graph, needed: frozenset[int], entering: Any) -> LossCall:
    prediction, target = sides(op, turn, graph)
    line, own = op.lines()
    classes = prediction.shape[-1] if op.name in CLASSED and prediction.shape else None
    along = len(prediction.shape) - 1 if prediction.shape else None
    if op.args.get("vmap") and target is not None and op.name not in CLASSED:  # a row is compared with a row
        target = replace(target, shape=prediction.shape)
    given = _operand(prediction, graph, along if op.name in (*CLASSED, "kl_div") else None)
    scores = False
    if op.label in KERAS_LOSSES and op.name in OF_SCORES:
        given, scores = _of_probabilities(given, classes is not None)
    made, reduction = reduced(op.makes[0], graph)
    loss = _number(turn.cells[made])
    return LossCall(
        step=turn.step,
        name="nll_loss" if scores else op.name,
        prediction=given,
        target=_operand(target, graph, along if target.shape == prediction.shape and op.name in CLASSED else None, True)
        if target is not None
        else None,
        result=made,
        loss=loss,
        line=line,
        caller=own[0] if own else line,
        module="" if op.label in KERAS_LOSSES else op.module,  # Keras puts each in a scope of its name
        reduction=reduction,
        classes=classes,
        class_dim=along if classes is not None else None,
        log_target=op.label == "kl_divergence_with_log_targets",
        reaches_root=made in needed,
        gradient=prediction.gradient,
        grad=op.grad,
        sign=entering.get(made),
    )


def _of_probabilities(given: Operand, classed: bool) -> tuple[Operand, bool]:
    """What Keras takes the logarithm of, told by its logarithms; and whether it is scores, of which there are none."""
    low, high = given.low, given.high
    if low is None or high is None:
        return given, False
    if low < 0 or (high > 1 + TOLERANCE and not classed):
        return replace(given, high=max(abs(low), high), rows=None, exp_rows=None), True
    if not classed:
        return given, False
    low, high = math.log(max(low, EPSILON)), min(0.0, math.log(max(high, EPSILON)))  # Keras divides by the sum
    return replace(given, low=low, high=high, exp_rows=(1.0, 1.0)), False


def reduced(value: int, graph: Graph) -> tuple[int, str]:
    """The loss as one number, where nothing but its mean or its sum is taken, and which of them."""
    readers = graph.readers().get(value, ())
    if len(readers) == 1 and readers[0].name in ("mean", "sum") and readers[0].reads == (value,):
        (op,) = readers
        if len(op.makes) == 1 and op.makes[0] in graph.values and not graph.values[op.makes[0]].shape:
            return op.makes[0], op.name
    return value, "none"


def _number(cell: Cell) -> float | None:
    """A loss that is one number: no loss known here is negative, so its peak is its value."""
    if cell.whole is not None and cell.whole.size == 1:
        return float(cell.whole.reshape(()))
    return cell.peak if not cell.shape else None


def _operand(cell: Cell, graph: Graph, along: int | None, counted: bool = False) -> Operand:
    maker = maker_of(graph, cell.id)
    dim, size = normalised_along(graph, maker) if maker else (None, None)
    array = cell.whole
    integer = "float" not in cell.dtype
    facts: dict[str, Any] = {}
    if array is not None and array.size:
        wide = array.astype(np.float32) if array.dtype.kind not in "fiu" else array
        facts = {"low": float(wide.min()), "high": float(wide.max())}
        if along is not None and wide.dtype.kind == "f":
            rows, powers = wide.sum(along), np.exp(wide.astype(np.float64)).sum(along)
            facts["rows"] = (float(rows.min()), float(rows.max()))
            facts["exp_rows"] = (float(powers.min()), float(powers.max()))
        if counted:
            facts["distinct"] = min(len(np.unique(wide)), 16)
            facts["integral"] = True if integer else bool((wide == np.round(wide)).all())
    return Operand(
        value=cell.id,
        shape=cell.shape,
        dtype=cell.dtype,
        low=facts.get("low"),
        high=facts.get("high"),
        requires_grad=cell.requires_grad,
        rows=facts.get("rows"),
        exp_rows=facts.get("exp_rows"),
        integral=True if integer else facts.get("integral"),
        distinct=facts.get("distinct"),
        maker=bare(maker.name) if maker else "",
        maker_line=maker.line if maker else None,
        maker_dim=dim,
        maker_size=size,
    )
