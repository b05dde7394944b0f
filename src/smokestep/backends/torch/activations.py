"""Activations: which units of an activation are zero, and how much of it lies in the flat part, step after step.

Every call is measured in the first step; in the later ones only those that looked unwell in it, as measuring costs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import numbers
from smokestep.backends.torch.trace import RawOp

Tensor = torch.Tensor
FLAT = {"sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99)}  # where the derivative is below 0.01 or 0.02
UNWELL = 0.5  # the least share of zero units, or of entries in the flat part, for which a call is measured again


class Site:
    """One activation call of a step, found again in the next by its line, its module and its turn there."""

    __slots__ = ("dead", "entries", "flat", "line", "module", "name", "serial", "times", "units", "value")

    def __init__(self, op: RawOp, name: str, units: int, entries: int) -> None:
        self.serial, self.line, self.module, self.name = op.id, op.line, op.module, name
        self.units, self.entries, self.times = units, entries, 0
        self.value = op.makes[-1]
        self.dead: Tensor | None = None  # of each unit, whether it was zero throughout
        self.flat: list[Tensor] = []  # a step each


class Activations:
    """The activation calls of a recording."""

    def __init__(self) -> None:
        self.sites: dict[Any, Site] = {}
        self._turn: Counter[Any] = Counter()
        self._first = True

    def measure(self, plain: Tensor, name: str, op: RawOp) -> None:
        """An activation gave this."""
        where: tuple[Raw | None, int, str] = (op.line, id(op.module), name)
        key = (*where, self._turn[where])
        self._turn[where] += 1
        dim = 1 if plain.dim() in (2, 4, 5) else plain.dim() - 1
        site = self.sites.get(key)
        if site is None and self._first:
            site = self.sites[key] = Site(op, name, plain.shape[dim], plain.numel() // max(1, plain.shape[dim]))
        if site is None or site.units != plain.shape[dim]:
            return
        if name.startswith("relu"):
            dead = (plain == 0).all(dim=[each for each in range(plain.dim()) if each != dim])
            site.dead = dead if site.dead is None else site.dead & dead
        elif name in FLAT:
            low, high = FLAT[name]
            site.flat.append(((plain < low) | (plain > high)).float().mean())
        site.times += 1

    def turn(self) -> None:
        """A step ends; of those measured in the first, only what looked unwell goes on being measured."""
        self._turn.clear()
        if self._first:
            self._first = False
            some = list(self.sites.items())
            dead = numbers([site.dead.float().mean() if site.dead is not None else None for _, site in some])
            flat = numbers([site.flat[0] if site.flat else None for _, site in some])
            self.sites = {
                key: site
                for (key, site), *shares in zip(some, dead, flat, strict=True)
                if any(share is not None and share >= UNWELL for share in shares)
            }

    def found(self) -> list[tuple[Site, float, float]]:
        """Every site still measured, with the share of its units that were zero in all steps, and the least share of
        its entries that lay in the flat part."""
        sites = list(self.sites.values())
        dead = numbers([site.dead.float().mean() if site.dead is not None else None for site in sites])
        flat = numbers([torch.stack(site.flat).amin() if site.flat else None for site in sites])
        return [(site, one or 0.0, other or 0.0) for site, one, other in zip(sites, dead, flat, strict=True)]
