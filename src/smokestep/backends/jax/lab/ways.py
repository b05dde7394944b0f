"""Ways: one step as it is compiled, and one that runs operation by operation, compared.

What a compiled function read from outside when it was traced is baked into it; the plain step reads it anew. Each runs
in a training built afresh, the compiled one twice, so that what differs by itself is not taken for it.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from smokestep import facts, privacy
from smokestep.backends.jax import frames, running, trees
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.evidence.ways import Apart, Way
from smokestep.findings import Line
from smokestep.training import Training

SHARE, HALF_SHARE = 1e-3, 0.05  # of a loss, where rounding is that of four bytes, or of two
MOVED = 0.5  # of an update: a normalized one turns round where a gradient is as good as 0
DIFFERS = "two steps as they are compiled differ already"
LOOPS = "a loop in it would run operation by operation"


@dataclass(slots=True)
class Ran:
    """What one step gave: its loss, and how far each of the trained arrays moved."""

    loss: float | None
    moves: dict[tuple[str, ...], np.ndarray]


def ways(factory: Callable[[], Training], turns: Sequence[Turn]) -> tuple[Way, ...]:
    """The one way in which a training of JAX departs from the plain one, if something in it is compiled."""
    with privacy.guard(), contextlib.redirect_stdout(io.StringIO()):
        line = next(_compiled(list(factory().steps.values())), None)
    if line is None:
        return ()
    if any(op.name in ("scan", "while") for turn in turns for op in turn.ops):
        return (Way("compiled", line, why=LOOPS),)
    try:
        written, again = _ran(factory), _ran(factory)
        with jax.disable_jit():
            plain = _ran(factory, disabled=True)
    except Exception as error:
        return (Way("compiled", line, why=f"a step that runs operation by operation raised {facts.told(error)}"),)
    if _apart(written, again, 0.0):
        return (Way("compiled", line, why=DIFFERS),)
    half = any(cell.dtype in ("float16", "bfloat16") for turn in turns for cell in turn.cells.values())
    losses = (written.loss, plain.loss) if written.loss is not None and plain.loss is not None else None
    return (Way("compiled", line, losses=losses, apart=tuple(_shares(written, plain, HALF_SHARE if half else SHARE))),)


def _ran(factory: Callable[[], Training], disabled: bool = False) -> Ran:
    """One step of a training built afresh; it is built compiled, whatever runs the step."""
    with privacy.guard(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        privacy.seed_everything(0)
        with jax.disable_jit(False):
            training = factory()
        kept = Kept(training, training.state)
        before = _weights(kept)
        loss = None
        for step in training.steps.values():
            returned = running.call(step, training.arguments(step, kept.state if training.has_state else None))
            rest = [returned]
            if training.has_state:
                kept.state, rest = running.matched(kept.state, returned)
            loss = running.scalar(rest) if loss is None else loss
        after = _weights(kept)
    return Ran(loss, {path: after[path] - old for path, old in before.items() if path in after})


def _weights(kept: Kept) -> dict[tuple[str, ...], np.ndarray]:
    return {
        path: np.asarray(leaf.value).astype(np.float64)
        for path, leaf in kept.arrays().items()
        if leaf.role == "leaf" and jax.numpy.issubdtype(leaf.value.dtype, jax.numpy.floating)
    }


def _shares(written: Ran, plain: Ran, limit: float) -> Iterator[Apart]:
    if written.loss is not None and plain.loss is not None:
        size = max(abs(plain.loss), 1e-6)
        yield Apart("loss", "", abs(written.loss - plain.loss) / size if written.loss != plain.loss else 0.0, limit)
    one, other = (np.concatenate([each.reshape(-1) for each in ran.moves.values()] or [np.zeros(0)])
                  for ran in (written, plain))  # fmt: skip
    norm = float(np.linalg.norm(other))
    if one.shape == other.shape and norm:
        yield Apart("update", "", float(np.linalg.norm(one - other)) / norm, MOVED)


def _apart(one: Ran, other: Ran, limit: float) -> bool:
    return any(not each.share <= limit for each in _shares(one, other, limit) if each.what == "loss")


def _compiled(functions: list[Any], depth: int = 3) -> Iterator[Line]:
    """The lines of the compiled functions of the user's that these reach."""
    for each in functions:
        inner = getattr(each, "__wrapped__", None) or getattr(each, "_fun", None) or each
        code = getattr(inner, "__code__", None)
        if code is None or frames.kind_of_file(code.co_filename) == frames.SKIP:
            continue
        if hasattr(each, "lower") or type(each).__name__ in ("JitWrapped", "JitFn"):
            yield frames.line_of(code.co_filename, code.co_firstlineno)
        cells = [trees._cell(cell)() for cell in getattr(inner, "__closure__", None) or ()]
        names = [inner.__globals__.get(name) for name in code.co_names]
        within = [thing for thing in (*cells, *names) if callable(thing) and not isinstance(thing, type)]
        if depth:
            yield from _compiled(within, depth - 1)
