"""Beginnings: what parameters held before the first step, where that says something about how they can train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from smokestep.backends.jax import trees
from smokestep.backends.jax.naming import Path, source_of
from smokestep.evidence.beginnings import Beginning, Beginnings, Copies
from smokestep.evidence.flow import Graph
from smokestep.findings import Line

LEAST = 4  # arrays of fewer entries are alike by chance, or because they are scales of 1
SAMPLE = 16  # entries by which arrays are first compared; only what agrees in them is compared entry by entry


def evidence(assembly: Any) -> Beginnings:
    """What the beginnings say, under the names that the report uses."""
    turns = assembly.turns
    if not turns:
        return Beginnings()
    some: list[Beginning] = []
    groups: dict[Any, list[tuple[Path, np.ndarray]]] = {}
    for path, name in assembly.names.parameters.items():
        array = _read(turns[0].before.get(path))
        if array is None:
            continue
        if dims := alike(array):
            some.append(Beginning(name, dims, tuple(_spread(assembly, turn, path, dims) for turn in turns)))
        for turned in (False, True) if array.ndim == 2 else (False,):
            if (key := _sample(array.T if turned else array)) is not None:
                groups.setdefault(key, []).append((path, array.T if turned else array))
    lines = _lines(assembly.graphs)
    found: dict[frozenset[Path], Copies] = {}
    for group in groups.values():
        for one, other, still in _pairs(assembly, group):
            name = assembly.names.parameters[other]
            copies = Copies(assembly.names.parameters[one], name, still, False, lines.get(name))
            if one != other:
                found.setdefault(frozenset({one, other}), copies)
    return Beginnings(tuple(some), tuple(found.values()))


def alike(array: np.ndarray) -> tuple[int, ...]:
    """The dimensions of a matrix, or more, along which all slices are the same."""
    if array.ndim < 2 or not array.size:
        return ()
    return tuple(
        dim
        for dim in range(array.ndim)
        if array.shape[dim] > 1
        and bool((array.take(0, dim) == array.take(1, dim)).all())
        and bool((array == array.take([0], dim)).all())
    )


def _read(value: Any) -> np.ndarray | None:
    """The entries of a parameter, if they are numbers of two bytes or more, and still there."""
    if value is None or not trees.is_array(value) or trees.is_key(value) or "float" not in str(value.dtype):
        return None
    try:
        array = np.asarray(value)
    except RuntimeError:  # given away by the user's step
        return None
    return array if array.dtype.itemsize > 1 else None


def _spread(assembly: Any, turn: Any, path: Path, dims: tuple[int, ...]) -> tuple[float | None, ...]:
    """How far the slices of the gradients lay apart that an update of this step was given."""
    given = 0
    for update in assembly.updates[turn.step]:
        given |= update.given if update.applied or not update.by_hand else 0
    some = [
        gradient.spread
        for place, gradient in enumerate(turn.gradients)
        if given >> place & 1 and gradient.spread and source_of(turn, gradient.primal) == path
    ]
    some = [each for each in some if max(dims) < len(each)]
    if not some:
        return ()
    return tuple(max((each[dim] for each in some if each[dim] is not None), default=None) for dim in dims)


def _sample(array: np.ndarray) -> Any:
    if array.size < LEAST:
        return None
    flat = array.reshape(-1)
    values = flat[:: max(1, flat.size // SAMPLE)][:SAMPLE]
    same = len(np.unique(values.astype(np.float32))) == 1
    return None if same else (array.shape, str(array.dtype), values.tobytes())


def _pairs(assembly: Any, group: list[tuple[Path, np.ndarray]]) -> Iterator[tuple[Path, Path, bool]]:
    """Each of a group that began alike with one of them, one that trains if there is any; and whether they are alike
    at the end. One that is the other's transpose is a copy too, which the next step moves apart."""
    trained = {source_of(turn, each.primal) for turn in assembly.turns for each in turn.gradients}
    (first, array), *others = sorted(group, key=lambda item: item[0] not in trained)
    for other, twin in others:
        if other == first or array.tobytes() != twin.tobytes():
            continue
        one, two = (_read(assembly.turns[-1].after.get(path)) for path in (first, other))
        upright = array.flags.c_contiguous and twin.flags.c_contiguous
        yield first, other, upright and one is not None and two is not None and np.array_equal(one, two)


def _lines(graphs: list[Graph]) -> dict[str, Line | None]:
    """The line that first reads each parameter."""
    found: dict[str, Line | None] = {}
    for graph in graphs[:1]:
        for op in graph.ops:
            for read in op.reads:
                value = graph.values.get(read)
                if value is not None and value.kind == "parameter":
                    found.setdefault(value.name, op.caller or op.line)
    return found
