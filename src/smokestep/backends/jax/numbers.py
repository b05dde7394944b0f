"""Numbers: which units of an activation are zero, and how much of it lies in the flat part, step after step.

Read from the values that were brought back whole; features are the last dimension, as Flax has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from smokestep.backends.jax.cells import Made, Turn
from smokestep.evidence.numbers import Activation, Numbers

FLAT = {"sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99)}  # where the derivative is below 0.01 or 0.02
UNWELL = 0.5  # the least share of zero units, or of entries in the flat part, for which a call is told


@dataclass(slots=True)
class Site:
    """One activation call, found again in the next step by its line, its module and its turn there."""

    op: Made
    step: int
    units: int
    entries: int
    dead: Any = None
    flat: list[float] = field(default_factory=list)
    times: int = 0


def evidence(turns: Sequence[Turn]) -> Numbers:
    """What is known of the activations of all steps."""
    sites: dict[Any, Site] = {}
    for position, turn in enumerate(turns):
        seen: Counter[Any] = Counter()
        for op in turn.ops:
            if op.grad and (op.name.startswith("relu") or op.name in FLAT) and op.makes:
                key = (op.lines()[0], op.module, op.name)
                seen[key] += 1
                _measure(sites, (*key, seen[key]), op, turn, position == 0)
    found = []
    for site in sites.values():
        dead = float(site.dead.mean()) if site.dead is not None else 0.0
        flat = min(site.flat, default=0.0)
        if max(dead, flat) >= UNWELL:
            op = site.op
            found.append(
                Activation(
                    site.step,
                    op.name,
                    op.lines()[0],
                    op.module,
                    site.units,
                    dead,
                    flat,
                    site.entries,
                    site.times,
                    op.makes[-1],
                )
            )
    return Numbers(activations=tuple(found))


def _measure(sites: dict[Any, Site], key: Any, op: Made, turn: Turn, first: bool) -> None:
    whole = turn.cells[op.makes[-1]].whole if op.makes[-1] in turn.cells else None
    if whole is None or not whole.ndim or not whole.size:
        return
    units = whole.shape[-1]
    site = sites.get(key)
    if site is None and first:
        site = sites[key] = Site(op, turn.step, units, whole.size // units)
    if site is None or site.units != units:
        return
    if op.name in FLAT:
        low, high = FLAT[op.name]
        site.flat.append(float(((whole < low) | (whole > high)).mean()))
    else:
        dead = (whole == 0).all(axis=tuple(range(whole.ndim - 1)))
        site.dead = dead if site.dead is None else site.dead & dead
    site.times += 1
