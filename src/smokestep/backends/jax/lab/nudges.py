"""Nudges: a result measured to either side of what a function was given, beside the gradient that it gives.

Two widths must agree: where they do not there is a kink, or noise, and the slope is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smokestep.evidence.slopes import Input, Slope

WIDTHS = (1e-4, 1e-5)  # of the largest entry: the error of a central difference is then some 1e-8 and 1e-10
SETTLED = 1e-4  # the share by which the two may differ
DIRECTIONS, ENTRIES = 3, 8


def nudged(
    name: str, array: Any, grad: Any, results: Any, weights: Any, total: Callable[[Any], float], draws: Any
) -> Input:
    """One array that a function was given: the slopes along some directions and some entries."""
    size = _size(array)
    steps = [(draws.standard_normal(array.shape) * size, False) for _ in range(DIRECTIONS)]
    for index in draws.permutation(array.size)[:ENTRIES]:
        one = np.zeros(array.size)
        one[index] = size
        steps.append((one.reshape(array.shape), True))
    slopes = [_slope(total, array, step, float((grad * step).sum()), entry) for step, entry in steps]
    kept = tuple(each for each in slopes if each)
    passing = any(grad.shape == each.shape and _passed(grad, each) for each in weights)
    same = any(each.shape == array.shape and bool((np.asarray(each) == array).all()) for each in results)
    middle = total(array)
    bend = max(
        abs(total(array + step / 2) + total(array - step / 2) - 2 * middle) for step, entry in steps if not entry
    )
    steep = max((abs(each.measured) for each in kept), default=0.0)
    return Input(name, kept, len(slopes), array.size, same, passing, bend <= 1e-7 * steep)


def _slope(total: Callable[[Any], float], array: Any, step: Any, given: float, entry: bool) -> Slope | None:
    coarse, fine = ((total(array + width * step) - total(array - width * step)) / (2 * width) for width in WIDTHS)
    if not abs(coarse - fine) <= SETTLED * max(abs(coarse), abs(fine)) + 1e-12 * abs(total(array)) / WIDTHS[1]:
        return None
    return Slope(fine, given, entry)


def idle(array: Any, total: Callable[[Any], float], draws: Any) -> bool:
    """Whether the result is the same whatever this array is."""
    return total(array + draws.standard_normal(array.shape) * _size(array) / 2) == total(array)


def _passed(grad: Any, weight: Any) -> bool:
    """The gradient is the incoming one, times one number, wherever it is not 0."""
    ratio = grad[grad != 0] / weight[grad != 0]
    return bool(ratio.size) and bool(np.abs(ratio - ratio[0]).max() <= 1e-9 * abs(ratio[0]))


def _size(array: Any) -> float:
    return float(np.abs(array).max()) or 1.0
