"""Where NaN and Inf come from: the first operation of a step that made them out of finite values, forward or backward.

Only values that were measured can speak: an unmeasured value is neither finite nor not, and is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.origins import bare
from smokestep.evidence.steps import Movement, Steps
from smokestep.findings import Line

Direction = Literal["forward", "backward"]
REASONS: dict[tuple[Direction, str], str] = {
    ("forward", "log"): "the logarithm of 0, or of a negative number",
    ("forward", "sqrt"): "the square root of a negative number",
    ("forward", "rsqrt"): "the inverse root of 0, or of a negative number",
    ("forward", "div"): "a division by 0",
    ("forward", "reciprocal"): "a division by 0",
    ("forward", "exp"): "exp overflows: single precision ends at exp(88)",
    ("forward", "softmax"): "a row of -inf throughout",
    ("forward", "mean"): "the mean of no entries",
    ("forward", "std"): "the deviation of a single entry",
    ("forward", "var"): "the variance of a single entry",
    ("forward", "cross_entropy"): "no target counts, or a target of probability 0",
    ("forward", "nll_loss"): "no target counts, or a target of probability 0",
    ("backward", "sqrt"): "the derivative of the root at 0 is infinite",
    ("backward", "norm"): "the derivative of the norm at 0 is not defined",
    ("backward", "vector_norm"): "the derivative of the norm at 0 is not defined",
    ("backward", "cdist"): "the derivative of the distance at 0 is not defined",
    ("backward", "std"): "the derivative of the deviation at 0 is infinite",
    ("backward", "log"): "the derivative of the logarithm at 0 is infinite; a mask after it makes NaN of that",
    ("backward", "div"): "the derivative of a division by 0 is infinite; a mask after it makes NaN of that",
    ("backward", "pow"): "the derivative of a power below 1 at 0 is infinite",
    ("backward", "acos"): "the derivative of acos at 1 and -1 is infinite",
    ("backward", "asin"): "the derivative of asin at 1 and -1 is infinite",
    ("backward", "atan2"): "the derivative of atan2 at (0, 0) is not defined",
}
SPELLINGS = {
    "__truediv__": "div",
    "true_divide": "div",
    "log2": "log",
    "log10": "log",
    "log1p": "log",
    "__pow__": "pow",
}


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first operation of a step that made NaN or Inf out of finite values.

    `direction`: "forward", or "backward" (its gradient with respect to an input is not finite while the gradient that
    came in was). `inputs`: an input of the step, or a parameter, that was not finite to begin with, else "".
    `harmful`: it reached the loss or a parameter's gradient (an attention mask of -inf does not).
    """

    step: int
    direction: Direction
    op: str
    line: Line | None
    module: str = ""
    inputs: str = ""
    harmful: bool = True
    kind: Literal["nan", "inf"] = "nan"
    detail: str = ""


def not_finite_in(graph: Graph, steps: Steps) -> Iterator[NotFinite]:
    """What made NaN or Inf in one step: what it started with, else the first op forward, else the first backward."""
    moves = [move for move in steps.movements if move.step == graph.step]
    skipped = any(event.detail.get("skipped") for event in steps.of("update") if event.step == graph.step)
    poisoned = [move for move in moves if _bad(move.received)]
    losses = [
        event for event in steps.of("backward") if event.step == graph.step and _bad(_loss(event.detail.get("loss")))
    ]
    hurt = bool(poisoned) and not skipped
    sources = _given(graph, moves)
    if sources:
        yield NotFinite(graph.step, "forward", "", None, inputs=sources, harmful=hurt or bool(losses))
        return
    op = _first_forward(graph)
    if op is not None:
        bad = [made for made in op.makes if _bad(graph.values[made].peak)]
        touched = graph.forward_of(bad, through=lambda each: any(_bad(graph.values[made].peak) for made in each.makes))
        scaling = skipped and not graph.roots.isdisjoint(op.makes)  # the scaled loss overflowed: the scale shrinks
        lost = any(root in touched and _bad(graph.values[root].peak) for root in graph.roots)
        yield _found(graph, op, "forward", [graph.values[made].peak for made in bad], lost and not scaling)
        if lost:
            return
    if poisoned:
        op = _first_backward(graph)
        if op is not None:
            yield _found(graph, op, "backward", [graph.values[read].gradient for read in op.reads], hurt)
        elif not losses:
            line = next((event.line for event in steps.of("backward") if event.step == graph.step), None)
            name = ", ".join(move.parameter for move in poisoned[:3])
            yield NotFinite(graph.step, "backward", "", line, detail=f"in the gradient of {name}", harmful=hurt)
    elif losses and not skipped:
        yield NotFinite(graph.step, "forward", "", losses[0].line, detail="the loss itself is not finite")


def _bad(number: float | None) -> bool:
    return number is not None and not math.isfinite(number)


def _loss(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _given(graph: Graph, moves: Iterable[Movement]) -> str:
    """The names of batch elements and parameters that were not finite when the step began."""
    names = [
        value.name
        for value in graph.values.values()
        if value.kind in ("input", "buffer") and value.name and _bad(value.peak)
    ]
    return ", ".join([*names, *(move.parameter for move in moves if _bad(move.scale))][:3])


def _first_forward(graph: Graph) -> Op | None:
    for op in graph.ops:
        if any(_bad(graph.values[made].peak) for made in op.makes if made in graph.values):
            if not any(_bad(graph.values[read].peak) for read in op.reads if read in graph.values):
                return op
    return None


def _first_backward(graph: Graph) -> Op | None:
    for op in reversed(graph.ops):
        given = [graph.values[made].gradient for made in op.makes if made in graph.values]
        if any(_bad(graph.values[read].gradient) for read in op.reads if read in graph.values):
            if any(each is not None for each in given) and not any(_bad(each) for each in given):
                return op
    return None


def _found(graph: Graph, op: Op, direction: Direction, numbers: Iterable[float | None], harmful: bool) -> NotFinite:
    name = bare(op.name)
    return NotFinite(
        step=graph.step,
        direction=direction,
        op=name,
        line=op.caller if op.line and op.line.installed and op.caller else op.line,
        module=op.module,
        harmful=harmful,
        kind="nan" if any(number is not None and math.isnan(number) for number in numbers) else "inf",
        detail=REASONS.get((direction, SPELLINGS.get(name, name)), ""),
    )
