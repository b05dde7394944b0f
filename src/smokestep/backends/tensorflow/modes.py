"""Modes: in which mode every layer ran that cares, and whether its moving statistics moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from smokestep.backends.keras_objects import kind_by_class
from smokestep.backends.tensorflow import frames, functional_norms
from smokestep.backends.tensorflow.naming import installed
from smokestep.backends.tensorflow.running import MOVING
from smokestep.backends.tensorflow.sources import asks_mode
from smokestep.evidence.modes import FunctionalDropout, Layer, Modes, ModuleKind, Run


def evidence(assembly: Any, graphs: Any) -> Modes:
    """The layers that care for their mode, the root models, and every run of them."""
    recorder = assembly.recorder
    running = recorder.running
    layers: list[Layer] = []
    kept: dict[int, str] = {}
    for key, layer in running.layers.items():
        kind = kind_by_class(type(layer))
        if kind is None:
            if key not in running.roots:
                continue
            kind = "root"
        path = assembly.module(layer)
        kept[key] = path
        layers.append(_layer(assembly, layer, kind, path))
        if key in running.roots and kind != "root":
            layers.append(_layer(assembly, layer, "root", path))

    def reached(run: Any) -> bool:
        """Whether it leads to the loss; a dropout that is off leaves no operation: it does if its model does."""
        if run.training or kind_by_class(type(run.layer)) != "dropout":
            return any(graphs.reached(run.step, first, last) for first, last in run.ops)
        around = [each for each in running.runs.values() if each.step == run.step and id(each.layer) in running.roots]
        inner = [(last - first, each) for each in around for first, last in each.ops if _holds(first, last, run)]
        if inner and _frozen(min(inner, key=lambda each: each[0])[1].layer):  # a teacher, that is not to be disturbed
            return False
        return any(
            graphs.reached(run.step, first, last)
            for each in around
            for first, last in each.ops
            if _holds(first, last, run)
        )

    runs = [
        Run(
            step=run.step,
            path=kept[id(run.layer)],
            training=run.training,
            grad=run.grad,
            times=run.times,
            reaches_root=reached(run),
            samples=run.samples,
            line=frames.line_of(run.line),
        )
        for run in running.runs.values()
        if id(run.layer) in kept and run.step < assembly.count
    ]
    dropouts = [
        FunctionalDropout(
            step=assembly.step_of(op.id),
            line=line,
            module=assembly.module(entry.layer) or assembly.models.names.get(id(entry.layer), ""),
            passed=False,
            active=True,
            module_training=entry.training,
            guarded=line is None or asks_mode(line.file, line.line),
            probability=float(op.args.get("p", 0.5)),
        )
        for op, entry in running.dropouts
        if assembly.step_of(op.id) < assembly.count
        for line in (frames.line_of(op.line),)
    ]
    more, ran = functional_norms.evidence(assembly, graphs)
    return Modes((*layers, *more), (*runs, *ran), tuple(dropouts))


def _holds(first: int, last: int, run: Any) -> bool:
    """Whether a run lies between these serials."""
    return any(first <= at <= last for at, _ in run.ops)


def _frozen(layer: Any) -> bool:
    return bool(layer.weights) and not layer.trainable_weights


def _layer(assembly: Any, layer: Any, kind: ModuleKind, path: str) -> Layer:
    recorder = assembly.recorder
    moving = [value for name in MOVING if (value := getattr(layer, name, None)) is not None] if kind != "root" else []
    places = [place for each in moving if (place := recorder.places.of_variable(each, assembly.count)) is not None]
    moved = tuple(
        any(place.rows[step].update != 0.0 for place in places if step < len(place.rows))
        for step in range(assembly.count)
    )
    own = [
        (assembly.names.get(id(getattr(each, "_value", each)), ""), bool(each.trainable))
        for each in getattr(layer, "_trainable_variables", ())
    ]
    affine = tuple(name for name, _ in own if name) if kind != "root" else ()
    momentum = getattr(layer, "momentum", None)
    return Layer(
        path=path,
        kind=kind,
        class_name=type(layer).__name__,
        statistics=bool(moving),
        moved=moved,
        seen=_seen(places) if moving else None,
        momentum=1.0 - float(momentum) if isinstance(momentum, (int, float)) and kind == "batch_norm" else None,
        probability=_rate(layer) if kind == "dropout" else None,
        affine=affine,
        trainable=tuple(name for name, trains in own if name and trains) if kind != "root" else (),
        model=assembly.models.top_of.get(id(layer), ""),
        installed=installed(type(layer)),
        built=frames.line_of(recorder.built.get(id(layer), (None, None))[1]),
        statistics_names=tuple(name for place in places if (name := assembly.name(place))),
    )


def _seen(places: list[Any]) -> int:
    """0 if the statistics were still their initial values before the first step."""
    firsts = [place.first for place in places if place.first is not None]
    return 0 if all(bool(np.all(first == 0)) or bool(np.all(first == 1)) for first in firsts) else 1


def _rate(layer: Any) -> float | None:
    rate = getattr(layer, "rate", None)
    return float(rate) if isinstance(rate, (int, float)) else None
