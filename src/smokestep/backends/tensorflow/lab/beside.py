"""Beside: two runs of one call over sequences of different length, side by side where both have entries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from typing import Any

import numpy as np

from smokestep.backends.lengths import WAYS, ways_of
from smokestep.backends.tensorflow.lab.compare import EPS, gap
from smokestep.backends.tensorflow.lab.trail import Kept
from smokestep.evidence.trials import Spread, Touch

SAME, APART = Spread((), (), False), Spread((), (), True)


def beside(shorter: Sequence[Kept], longer: Sequence[Kept], size: int, kept: Sequence[int], by: float) -> list[Touch]:
    """The operations that read or make something that differs, as far as both runs made the same ones.

    `kept`: which `size` entries of the longer run the shorter one has; `by`: the roundings within which two agree."""
    found = []
    for short, long in zip(shorter, longer, strict=False):
        if short.op.name != long.op.name:
            break
        before, after = (
            _spreads(ones, others, size, tuple(kept), by)
            for ones, others in ((short.reads, long.reads), (short.makes, long.makes))
        )
        if any(each.touched for each in (*before, *after)):
            found.append(short.touch(before, after))
    return found


def _spreads(ones: list[Any], others: list[Any], size: int, kept: tuple[int, ...], by: float) -> tuple[Spread, ...]:
    if len(ones) != len(others):
        return (APART,)
    pairs = zip(ones, others, strict=True)
    return tuple(APART if _apart(short, long, size, kept, by) else SAME for short, long in pairs)


def _apart(short: Any, long: Any, size: int, kept: tuple[int, ...], by: float) -> bool:
    """Whether they differ however they are laid side by side; also where no way is known."""
    if not short.size:
        return False
    if (short.ndim, short.dtype) != (long.ndim, long.dtype):
        return True
    ways = [ways_of(p, q, size, kept) for p, q in zip(short.shape, long.shape, strict=True)]
    return all(_differ(short, _taken(long, way), by) for way in islice(product(*ways), WAYS))


def _differ(one: Any, other: Any, by: float) -> bool:
    apart = float(gap(one, other).max())
    if one.dtype.kind != "f":
        return apart > 0
    scale = float(np.abs(np.nan_to_num(one.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)).max())
    return not apart <= by * EPS.get(one.dtype.name, 2.0**-24) * scale


def _taken(long: Any, way: Sequence[Sequence[int] | None]) -> Any:
    for dim, indices in enumerate(way):
        if indices is not None:
            long = np.take(long, list(indices), axis=dim)
    return long
