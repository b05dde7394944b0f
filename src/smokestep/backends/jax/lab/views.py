"""Views: the reshapes that a run traced before it raised: of a program that does not exist, nothing else is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jax._src.lax import lax

from smokestep.backends.jax import frames
from smokestep.evidence.trials import Edit, Spread, Take, Touch


@contextmanager
def viewed() -> Iterator[list[Touch]]:
    """Lists the reshapes that the user's code asks for in the block, as operations that read and make what differs."""
    found: list[Touch] = []
    primitive, original = lax.reshape_p, lax.reshape_p.bind

    def bind(operand: Any, *args: Any, **params: Any) -> Any:
        line, own = frames.lines(frames.of_stack(1))
        shapes = [tuple(shape) for shape in (getattr(operand, "shape", ()), params.get("new_sizes", ()))]
        if own and line == own[0] and all(isinstance(size, int) for shape in shapes for size in shape):
            before, after = (Spread(shape, tuple((0,) for _ in shape), False) for shape in shapes)
            found.append(Touch("reshape", (before,), (after,), line, own[0], stack=own))
        return original(operand, *args, **params)

    primitive.bind = bind
    try:
        yield found
    finally:
        del primitive.bind


def of_samples(found: Sequence[Touch], edits: Sequence[Edit]) -> tuple[Touch, ...]:
    """Those of what the picked samples became: it has as many rows as they are, or as many for each."""
    counts = {len(each.indices) for each in edits if isinstance(each, Take)}
    return tuple(each for each in found if (shape := each.reads[0].shape) and any(shape[0] % n == 0 for n in counts))
