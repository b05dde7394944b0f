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
# What writes -inf on purpose, to take entries out of a softmax: it is at fault only for what comes of it.
MASKS = frozenset("masked_fill where add __add__ __iadd__ __setitem__ full full_like baddbmm".split())
TAKE_MASKS = MASKS | frozenset(
    {"scaled_dot_product_attention", "multi_head_attention_forward", "expand", "to", "unsqueeze"}
)
CLEANERS = frozenset("nan_to_num where masked_fill nanmean nansum nanmedian isnan isfinite".split())
GROWN = 1e6  # times its size in the first step: no sound training moves a parameter so far in a few steps
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
    unguarded = not _guarded(graph, steps)
    hurt = bool(poisoned) and unguarded and not skipped
    given = _given(graph, moves)
    if given:
        names, reader = (
            ", ".join([*given][:3]),
            next((op for op in graph.ops if not set(given.values()).isdisjoint(op.reads)), None),
        )
        yield _found(graph, reader, "forward", (), hurt or (bool(losses) and unguarded), inputs=names)
        return
    op = _first_forward(graph)
    if op is not None and (source := _from_outside(graph, op)) is not None:
        harmful = hurt or (bool(losses) and unguarded)
        yield _found(graph, source, "forward", (), harmful, inputs="the data that are read here")
        return
    if op is not None:
        bad = [made for made in op.makes if _bad(graph.values[made].peak)]
        touched = graph.forward_of(bad, through=lambda each: any(_bad(graph.values[made].peak) for made in each.makes))
        # The scaled loss overflowed: the scale shrinks, or its gradients, which do not depend on its value, are finite.
        unhurt = bare(op.name) == "mul" and any(move.received is not None for move in moves) and not poisoned
        scaling = (skipped or unhurt) and not graph.roots.isdisjoint(op.makes)
        lost = any(root in touched and _bad(graph.values[root].peak) for root in graph.roots)
        peaks, grown = [graph.values[made].peak for made in bad], _grown(graph, op, steps)
        yield _found(graph, op, "forward", peaks, lost and not scaling and (unguarded or skipped), detail=grown)
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
    elif burst := [move for move in moves if _bad(move.update) and not skipped]:
        line = next((event.line for event in steps.of("update", "manual") if event.step == graph.step), None)
        detail = f"the update of {burst[0].parameter}, from a finite gradient"
        yield NotFinite(graph.step, "backward", "step", line, detail=detail)
    elif losses and unguarded and not skipped:
        yield NotFinite(graph.step, "forward", "", losses[0].line, detail="the loss itself is not finite")


def _guarded(graph: Graph, steps: Steps) -> bool:
    """The loop leaves such a step out by itself, or cleans its gradients: nothing that is not finite was ever used."""
    if any(_bad(move.gradient) or _bad(move.update) for move in steps.movements if move.step >= graph.step):
        return False
    updated = {event.step for event in steps.of("update", "manual") if not event.detail.get("skipped")}
    arrived = any(
        _bad(graph.values[made].gradient)
        for op in graph.ops
        if any(graph.values[read].kind == "parameter" for read in op.reads)
        for made in op.makes
    )
    return bool(updated) and (arrived or graph.step not in updated)


def _bad(number: float | None) -> bool:
    return number is not None and not math.isfinite(number)


def _loss(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _given(graph: Graph, moves: Iterable[Movement]) -> dict[str, int]:
    """Batch elements and parameters that were not finite when the step began, by name, with their values.

    An infinite element of the batch that only goes where masks go is one.
    """
    found = {}
    for value in graph.values.values():
        if value.kind in ("input", "buffer") and value.name and _bad(value.peak):
            taken = {op.name for op in graph.ops if value.id in op.reads}
            if math.isnan(value.peak or 0.0) or not taken <= TAKE_MASKS:
                found[value.name] = value.id
    parameters = {value.name: value.id for value in graph.values.values() if value.kind == "parameter"}
    return {**found, **{move.parameter: parameters.get(move.parameter, -1) for move in moves if _bad(move.scale)}}


def _first_forward(graph: Graph) -> Op | None:
    """The first op that made NaN, or Inf that is no mask, out of values that were neither."""
    masked: set[int] = set()
    for op in graph.ops:
        bad = [made for made in op.makes if made in graph.values and _bad(graph.values[made].peak)]
        odd = [
            read for read in op.reads if read in graph.values and _bad(graph.values[read].peak) and read not in masked
        ]
        if bad and not odd:
            nan = any(math.isnan(graph.values[made].peak or 0.0) for made in bad)
            if nan or not (op.name.removesuffix("_") in MASKS or not masked.isdisjoint(op.reads)):
                return op
            masked.update(bad)
    return None


def _from_outside(graph: Graph, op: Op) -> Op | None:
    """The op that read NaN from outside the step, if it came to this one through operations that were not measured."""
    makers = {made: each for each in graph.ops for made in each.makes}
    ahead, seen = [op], {op.id}
    while ahead:
        reader = ahead.pop()
        for value in (graph.values[read] for read in reader.reads if read in graph.values):
            if value.kind == "input" and math.isnan(value.peak or 0.0):
                return reader
            maker = makers.get(value.id)
            if maker is not None and value.peak is None and maker.id not in seen and bare(maker.name) not in CLEANERS:
                seen.add(maker.id)
                ahead.append(maker)
    return None


def _first_backward(graph: Graph) -> Op | None:
    for op in reversed(graph.ops):
        given = [graph.values[made].gradient for made in op.makes if made in graph.values]
        if any(_bad(graph.values[read].gradient) for read in op.reads if read in graph.values):
            if any(each is not None for each in given) and not any(_bad(each) for each in given):
                return op
    return None


def _found(
    graph: Graph,
    op: Op | None,
    direction: Direction,
    numbers: Iterable[float | None],
    harmful: bool,
    *,
    inputs: str = "",
    detail: str = "",
) -> NotFinite:
    name, line = (bare(op.name), op.line) if op is not None else ("", None)
    return NotFinite(
        step=graph.step,
        direction=direction,
        op="" if inputs else name,
        line=op.caller if op is not None and line and line.installed and op.caller else line,
        module=op.module if op is not None else "",
        inputs=inputs,
        harmful=harmful,
        kind="nan" if any(number is not None and math.isnan(number) for number in numbers) else "inf",
        detail=detail or REASONS.get((direction, SPELLINGS.get(name, name)), ""),
    )


def _grown(graph: Graph, op: Op, steps: Steps) -> str:
    """Whether a parameter that an op reads was moved out of all measure in an earlier step."""
    for name in (graph.values[read].name for read in op.reads if graph.values[read].kind == "parameter"):
        earlier = [move for move in steps.moves(name) if move.step < graph.step and math.isfinite(move.update)]
        moved = max((move.update for move in earlier), default=0.0)
        if earlier and moved > GROWN * (earlier[0].scale or 1.0):
            return f"an update had moved {name} by {moved:.1e} (learning rate too high?)"
    return ""
