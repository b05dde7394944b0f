"""Noise: what a step drew and handed to a differentiated function beside the batch, a row for each sample.

Drawn alone, or of the batch and what was: what a step makes of its state with random numbers is a state, and no noise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import jax

from smokestep.backends.jax.sketch import Sketch


def _plain(each: Any) -> bool:
    """Whether an array, or the type of one, is a number or a key, of the old style or the new."""
    shape, dtype = getattr(each, "shape", ()), getattr(each, "dtype", None)
    if not shape or dtype is None:
        return True
    return jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) or (str(dtype) == "uint32" and shape[-1:] in ((2,), (4,)))


def noisy(draws: bool, reads: Sequence[Any], known: Collection[Any], beside: Callable[[Any], bool]) -> bool:
    """Whether an operation makes noise: of keys, of noise, and of what may stand `beside` it."""
    return (draws or any(each in known for each in reads)) and all(each in known or beside(each) for each in reads)


def in_sketch(
    found: Sketch, at: int, draws: Collection[int], moved: Collection[int], given: Collection[int]
) -> set[int]:
    """The noise that is `given`, or made before the step at this place."""
    noise = set(given)
    for place, step in enumerate(found.steps[:at]):
        if noisy(
            place in draws,
            step.operands,
            noise,
            lambda n: n in moved or n in found.constants or _plain(found.avals[n]),
        ):
            noise.update(step.makes)
    return noise


def in_arrays(draws: bool, arguments: Sequence[Any], known: Collection[int], moved: Collection[int]) -> bool:
    """Whether an operation on arrays makes noise; `known`, `moved`: by identity."""
    plain = {id(each) for each in arguments if _plain(each)}
    return noisy(draws, [id(each) for each in arguments], known, lambda each: each in moved or each in plain)


def by_row(noise: Iterable[Any], data: Iterable[Any]) -> bool:
    """Whether some noise has a row for each sample of the batch, along any dimension."""
    rows = {each.shape[0] for each in data if getattr(each, "shape", ())}
    return any(not rows.isdisjoint(each.shape) for each in noise)
