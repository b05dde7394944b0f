"""Averages: which variables of a module in evaluation mode move, step by step on one batch, as a running average does.

An average that sees the same value again moves by the same fraction of what is left, in every entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smokestep.backends.jax.lab.keeping import Kept
from smokestep.backends.jax.lab.statistics import statistics

TIMES = 3
UNIFORM = 1e-2  # of a step: the rounding of the statistics themselves, in the steps of a slow average


def averages(kept: Kept, step: Callable[[], bool], given: Callable[[], Any]) -> tuple[str, ...]:
    """The names of those that move so when a step is made three times, all else put back after each; none if the model
    gives the same afterwards. `step` makes one and says whether it ran; `given` is what the model gives now."""
    own, state = statistics(kept), kept.state
    before = {id(each): (each, each.get_raw_value()) for each in kept.variables()}
    kept_apart = {id(each) for each in own.values()}
    first = given()
    states = [{name: np.asarray(each.get_raw_value(), np.float64) for name, each in own.items()}]
    for _ in range(TIMES):
        if not step():
            return ()
        kept.state = state
        for key, (each, value) in before.items():
            if key not in kept_apart:
                each.set_raw_value(value)
        states.append({name: np.asarray(each.get_raw_value(), np.float64) for name, each in own.items()})
    found = tuple(name for name in own if _moves([each[name] for each in states]))
    return found if found and first != given() else ()


def _moves(states: list[np.ndarray]) -> bool:
    if len({each.shape for each in states}) != 1:
        return False
    steps = [after - before for before, after in zip(states, states[1:], strict=False)]
    largest = float(np.abs(steps[0]).max())
    if not np.isfinite(largest) or largest <= 1e-4 * float(np.abs(states[0]).max()) or int((steps[0] != 0).sum()) < 2:
        return False
    for one, other in zip(steps, steps[1:], strict=False):
        fraction = float((one * other).sum() / (one * one).sum())
        if not 0 < fraction < 1 or float(np.abs(other - fraction * one).max()) > UNIFORM * float(np.abs(one).max()):
            return False
    return True
