"""Beside: two runs of one model over sequences of different length, side by side where both have entries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from typing import Any

import jax.numpy as jnp
import numpy as np

from smokestep.backends.jax.lab.compare import gap, scale_of
from smokestep.backends.jax.lab.rerun import Heard
from smokestep.backends.jax.lab.trail import RECURRENCE, plain, ran, touch
from smokestep.backends.lengths import WAYS, ways_of
from smokestep.evidence.trials import Spread, Touch

SAME, APART = Spread((), (), False), Spread((), (), True)


def beside(shorter: Heard | None, longer: Heard | None, size: int, kept: Sequence[int], by: float) -> tuple[Touch, ...]:
    """The operations that read or make something that differs, as far as both runs made the same ones.

    `kept`: which `size` entries of the longer run the shorter one has; `by`: the roundings within which two agree."""
    found: list[Touch] = []
    if shorter is None or longer is None:
        return ()
    for short, long in zip(ran(shorter), ran(longer), strict=False):
        if short.name != long.name or (len(short.reads) != len(long.reads) and short.name != RECURRENCE):
            break
        before, after = (
            [
                APART if _apart(_value(shorter, a), _value(longer, b), size, tuple(kept), by) else SAME
                for a, b in zip(ones, others, strict=False)
            ]
            for ones, others in ((short.reads, long.reads), (short.makes, long.makes))
        )
        if any(each.touched for each in (*before, *after)):
            found.append(touch(shorter, short, before, after))
    return tuple(found)


def _value(heard: Heard, number: int | None) -> Any:
    array = None if number is None else heard.values.get(number)
    return np.asarray(array) if array is not None and plain(array) else None


def _apart(short: Any, long: Any, size: int, kept: tuple[int, ...], by: float) -> bool:
    """Whether they differ however they are laid side by side; also where no way is known."""
    if short is None or long is None:
        return False
    if (short.ndim, short.dtype) != (long.ndim, long.dtype):
        return True
    ways = [ways_of(p, q, size, kept) for p, q in zip(short.shape, long.shape, strict=True)]
    return all(_differ(short, _taken(long, way), by) for way in islice(product(*ways), WAYS))


def _differ(one: Any, other: Any, by: float) -> bool:
    apart = float(gap(one, other).max())
    if not jnp.issubdtype(one.dtype, jnp.inexact):
        return apart > 0
    return not apart <= by * float(jnp.finfo(one.dtype).eps) * scale_of(one)


def _taken(long: Any, way: Sequence[Sequence[int] | None]) -> Any:
    for dim, indices in enumerate(way):
        if indices is not None:
            long = np.take(long, list(indices), axis=dim)
    return long
