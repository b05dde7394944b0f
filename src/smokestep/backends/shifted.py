"""Shifted: how an array is another one shifted in time, in arrays of NumPy or tensors of PyTorch.

Entries must be equal, all that count, for one shift only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Layout: TypeAlias = int | str  # the dimension of time, or how samples and positions were flattened into one
LEAST = 8  # entries that must agree: of eight binary ones, chance agrees in one case of 256
AROUND = 8  # shifts looked at beyond those that keep the target within the argument


@dataclass(slots=True)
class Fit:
    """A target that is an argument, shifted: `layout` of the target, `time` of the argument."""

    layout: Layout
    time: int
    offset: int
    series: Any
    counted: Any
    compared: int
    wraps: bool


def in_time(array: Any, layout: Layout, samples: int) -> Any:
    """An array as (sample, position, feature); None if it has not the form for it."""
    if isinstance(layout, str):
        if not array.ndim or array.shape[0] % samples:
            return None
        if layout == "samples first":
            return array.reshape(samples, array.shape[0] // samples, -1)
        return array.reshape(array.shape[0] // samples, samples, -1).swapaxes(0, 1)
    if array.ndim == 1:
        return array.reshape(1, -1, 1)
    if layout >= array.ndim:
        return None
    turned = np.moveaxis(array, layout, 1) if isinstance(array, np.ndarray) else array.movedim(layout, 1)
    return turned.reshape(turned.shape[0], turned.shape[1], -1)


def shifted(target: Any, counts: Any, argument: Any) -> list[Fit]:
    """How a target is this argument shifted, where its entries count; nothing if it is not, or in more than one way.
    Without a shift it does not show which dimension is time: it is then told for either."""
    found = [each for time in range(min(argument.ndim, 4)) for each in _fits(target, counts, argument, time)]
    best = max((each.compared for each in found), default=0)
    rivals = [each for each in found if each.compared * 2 > best]
    return rivals if len(rivals) == 1 or not any(each.offset for each in rivals) else []


def _fits(target: Any, counts: Any, argument: Any, time: int) -> Iterator[Fit]:
    series = in_time(argument, time, 1)
    if series is None or series.shape[1] < 2:
        return
    samples, length, _ = series.shape
    for layout in layouts(target.ndim, samples):
        wanted, counted = (in_time(each, layout, samples) for each in (target, counts))
        if wanted is None or wanted.shape[0] != samples or wanted.shape[2] != series.shape[2]:
            continue
        counted, count = counted.any(-1), wanted.shape[1]
        for offset in range(-AROUND, max(length - count, 0) + AROUND + 1):
            low, high = max(0, -offset), min(count, length - offset)
            if high <= low:
                continue
            mask = counted[:, low:high]
            agree = (wanted[:, low:high] == series[:, low + offset : high + offset]).all(-1)
            some = wanted[:, low:high][mask]
            if int(mask.sum()) < LEAST or not bool((agree | ~mask).all()) or bool((some == some[:1]).all()):
                continue
            beyond = wanted[:, high:] if offset > 0 else wanted[:, :0]
            wraps = beyond.shape[1] > 0 and bool((beyond == series[:, : beyond.shape[1]]).all())
            yield Fit(layout, time, offset, series, counted, int(mask.sum()), wraps)


def layouts(dims: int, samples: int) -> list[Layout]:
    """How time may lie in an array of so many dimensions."""
    if dims == 1:
        return ["samples first", "time first"] if samples > 1 else ["samples first"]
    return [1, 0, *range(2, min(dims, 4))]
