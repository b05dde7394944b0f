"""Beginnings: what variables held when they were first seen, where that says something about how they can train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.running import alike
from smokestep.evidence.beginnings import Beginning, Beginnings, Copies

LEAST = 4  # arrays of fewer entries are alike by chance, or because they are scales of 1


def evidence(assembly: Any) -> Beginnings:
    """What the beginnings say, under the names that the report uses."""
    some: list[Beginning] = []
    groups: dict[bytes, list[Any]] = {}
    for place in assembly.recorder.places:
        name, first = assembly.name(place), place.first
        if not name or not assembly.is_parameter(place) or first is None or first.dtype.kind != "f":
            continue
        if dims := alike(first):
            spreads = tuple(row.spread for row in place.rows[: assembly.count])
            some.append(Beginning(name, dims, spreads, _built(assembly, place)))
        if first.size >= LEAST and len(np.unique(first.reshape(-1)[:16])) > 1:
            groups.setdefault(str(first.shape).encode() + first.tobytes(), []).append(place)
    pairs = [pair for group in groups.values() if len(group) > 1 for pair in _pairs(assembly, group)]
    return Beginnings(tuple(some), tuple(pairs))


def _pairs(assembly: Any, group: list[Any]) -> Iterator[Copies]:
    first, *others = sorted(group, key=lambda place: not any(row.gradient is not None for row in place.rows))
    for place in others:
        still = first.before is not None and place.before is not None and np.array_equal(first.before, place.before)
        yield Copies(assembly.name(first), assembly.name(place), bool(still), False, _built(assembly, place))


def _built(assembly: Any, place: Any) -> Any:
    layer = assembly.models.owner.get(id(place.variable))
    return frames.line_of(assembly.recorder.built.get(id(layer), (None, None))[1]) if layer is not None else None
