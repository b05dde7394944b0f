"""Averages: which variables of a model move, call by call on one input, as a running average does.

An average that sees the same value again moves by the same fraction of what is left, in every entry; a hidden state, a
queue or a cache does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

UNIFORM = 1e-2  # of a step: the rounding of the statistics themselves, in the steps of a slow average
LARGE = 2**24  # entries; a larger variable is no statistic


class Averages:
    """Enter it around each call; it keeps copies of the variables that do not train."""

    def __init__(self, variables: Sequence[tuple[str, Any]]) -> None:
        self._variables = [(name, each) for name, each in variables if each.dtype.is_floating]
        self._states: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        if not self._states:
            self._keep()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._keep()

    def _keep(self) -> None:
        self._states.append({name: np.array(each.numpy(), np.float64) for name, each in self._variables
                             if 1 < each.shape.num_elements() <= LARGE})  # fmt: skip

    def found(self) -> tuple[str, ...]:
        """The names of those that moved so in every call."""
        return tuple(name for name in self._states[0] if _averages([each[name] for each in self._states]))


def _averages(known: list[Any]) -> bool:
    if len(known) != 4:
        return False
    steps = [after - before for before, after in zip(known, known[1:], strict=False)]
    largest = np.abs(steps[0]).max()
    if not np.isfinite(largest) or largest <= 1e-4 * np.abs(known[0]).max() or np.count_nonzero(steps[0]) < 2:
        return False
    for one, other in zip(steps, steps[1:], strict=False):
        fraction = (one * other).sum() / (one * one).sum()
        if not 0 < fraction < 1 or np.abs(other - fraction * one).max() > UNIFORM * np.abs(one).max():
            return False
    return True
