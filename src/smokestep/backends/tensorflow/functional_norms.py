"""Functional normalizations: `tf.nn.batch_normalization` in code of the user's, whose mode is what it is given.

Statistics that variables hold, untrained, are those of inference; what was computed from the batch is training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.places import Place
from smokestep.backends.tensorflow.trace import RawOp, shape_of
from smokestep.evidence.modes import Layer, Run

STATISTICS, OWN = ("mean", "variance"), ("offset", "scale")


@dataclass(slots=True)
class Normalized:
    """One call: the layer it ran in, the variables that it was given, and how many values one mean is taken over."""

    op: RawOp
    layer: Any
    statistics: tuple[Place, ...]
    own: tuple[Place, ...]
    samples: int


def heard(recorder: Any, op: RawOp, given: dict[str, Any]) -> None:
    """A call begins, with these arguments."""
    held = {name: _place(recorder, given.get(name)) for name in (*STATISTICS, *OWN)}
    statistics = [place for name in STATISTICS if (place := held[name]) is not None and place.kind == "buffer"]
    own = [place for name in OWN if (place := held[name]) is not None and place.kind == "parameter"]
    entries = recorder.running.entries
    layer = entries[-1].layer if entries else None
    samples = math.prod(shape_of(given.get("x"))[:-1])
    recorder.running.normalized.append(Normalized(op, layer, tuple(statistics), tuple(own), samples))


def _place(recorder: Any, given: Any) -> Place | None:
    """The variable that an argument is, or was read from."""
    place = recorder.places.of_variable(given, recorder.step) if given is not None else None
    if place is None and hasattr(given, "_id"):
        seen = recorder.tracer.known.get(given._id)
        place = seen.place if seen is not None and isinstance(seen.place, Place) else None
    return place


def evidence(assembly: Any, graphs: Any) -> tuple[list[Layer], list[Run]]:
    """The layers that normalise so with statistics of their own, and every run of them. Statistics that are brought up
    to date in the step are in use, whenever they are read: as of a running normalization of what an agent sees."""
    calls = [each for each in assembly.recorder.running.normalized if assembly.step_of(each.op.id) < assembly.count]
    fixed = {id(each.layer): each for each in reversed(calls) if len(each.statistics) == len(STATISTICS)}
    layers = [_layer(assembly, each) for each in fixed.values()]
    return layers, [_run(assembly, graphs, each) for each in calls if id(each.layer) in fixed]


def _path(assembly: Any, call: Normalized) -> str:
    """The path of the layer around it; of what no layer keeps, that of its statistics."""
    return assembly.module(call.layer) or (assembly.name(call.statistics[0]) if call.statistics else "batch_norm")


def _layer(assembly: Any, call: Normalized) -> Layer:
    firsts = [place.first for place in call.statistics]
    initial = all(first is not None and bool(np.all(first == born)) for first, born in zip(firsts, (0, 1), strict=True))
    rows = [place.rows for place in call.statistics]
    names = tuple(assembly.name(place) for place in call.own)
    top = assembly.models.tops[0] if assembly.models.tops else None
    return Layer(
        path=_path(assembly, call),
        kind="batch_norm",
        class_name=type(call.layer).__name__ if call.layer is not None else "batch_normalization",
        statistics=True,
        moved=tuple(any(row[i].update != 0.0 for row in rows if i < len(row)) for i in range(assembly.count)),
        seen=0 if initial else 1,
        affine=names,
        trainable=tuple(n for n, at in zip(names, call.own, strict=True) if assembly.recorder.places.trainable(at)),
        model=assembly.models.top_of.get(id(call.layer)) or assembly.models.names.get(id(top), ""),
        statistics_names=tuple(assembly.name(place) for place in call.statistics),
    )


def _run(assembly: Any, graphs: Any, call: Normalized) -> Run:
    step, op = assembly.step_of(call.op.id), call.op
    last = max((op.id, *op.makes))
    moved = any(place.rows[step].update != 0.0 for place in call.statistics if step < len(place.rows))
    return Run(
        step=step,
        path=_path(assembly, call),
        training=moved or len(call.statistics) < len(STATISTICS),
        grad=op.grad,
        reaches_root=graphs.reached(step, op.id, last),
        samples=call.samples,
        line=frames.line_of(op.line),
    )
