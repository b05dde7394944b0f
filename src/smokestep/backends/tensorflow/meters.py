"""Meters: which units of an activation are zero, and how much of it lies in the flat part, step after step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from smokestep.backends.tensorflow.trace import RawOp, Seen, array_of

FLAT = {"sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99)}  # where the derivative is below 0.01 or 0.02
UNWELL = 0.5  # the least share of zero units, or of entries in the flat part, for which a call is measured again


class Site:
    """One activation call of a step, found again in the next by its line, its layer and its turn there."""

    __slots__ = ("dead", "entries", "flat", "line", "module", "name", "step", "times", "units", "value")

    def __init__(self, op: RawOp, seen: Seen, step: int, units: int, entries: int) -> None:
        self.line, self.module, self.name, self.value, self.step = op.line, op.module, op.name, seen.id, step
        self.units, self.entries, self.times = units, entries, 0
        self.dead: Any = None
        self.flat: list[float] = []


class Activations:
    """The activation calls of a recording; units lie along the last dimension."""

    def __init__(self) -> None:
        self.sites: dict[Any, Site] = {}
        self._turn: Counter[Any] = Counter()
        self._first = True

    def measure(self, op: RawOp, seen: Seen, tensor: Any, step: int) -> None:
        """An activation gave this."""
        array = array_of(tensor)
        if array is None or not array.size:
            return
        where = (op.line, id(op.module), op.name)
        key = (*where, self._turn[where])
        self._turn[where] += 1
        units = array.shape[-1]
        site = self.sites.get(key)
        if site is None and self._first:
            site = self.sites[key] = Site(op, seen, step, units, array.size // max(1, units))
        if site is None or site.units != units:
            return
        if op.name.startswith("relu"):
            dead = (array == 0).all(axis=tuple(range(array.ndim - 1)))
            site.dead = dead if site.dead is None else site.dead & dead
        elif op.name in FLAT:
            low, high = FLAT[op.name]
            site.flat.append(float(((array < low) | (array > high)).mean()))
        site.times += 1

    def turn(self) -> None:
        """A step ends; of those measured in the first, only what looked unwell goes on being measured."""
        self._turn.clear()
        if self._first:
            self._first = False
            self.sites = {
                key: site
                for key, site in self.sites.items()
                if _share(site) >= UNWELL or (site.flat and site.flat[0] >= UNWELL)
            }

    def found(self) -> list[tuple[Site, float, float]]:
        """Every site still measured, with its share of dead units and the least share of flat entries."""
        return [(site, _share(site), min(site.flat, default=0.0)) for site in self.sites.values()]


def _share(site: Site) -> float:
    return float(np.mean(site.dead)) if site.dead is not None else 0.0
