"""Modes: in which mode normalizations ran, read off from what they computed: statistics of the batch, or none.

A dropout that is switched off leaves no operation, so of dropouts nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smokestep.backends.jax import trees
from smokestep.backends.jax.cells import Made, Turn
from smokestep.evidence.flow import Graph
from smokestep.evidence.modes import Layer, Modes, ModuleKind, Run

Path = tuple[str, ...]
PAIR = 2  # mean and variance: what a normalization reads besides, and nothing trains, is a scale or a shift kept frozen
KINDS: Mapping[str, ModuleKind] = {
    "batch_norm": "batch_norm",
    "layer_norm": "layer_norm",
    "rms_norm": "layer_norm",
    "group_norm": "group_norm",
    "instance_norm": "instance_norm",
}


def evidence(turns: Sequence[Turn], graphs: Sequence[Graph], names: Any, leaves: Mapping[Path, trees.Leaf]) -> Modes:
    """What is known of the modes of all steps."""
    runs: list[Run] = []
    layers: dict[str, Layer] = {}
    for turn, graph in zip(turns, graphs, strict=True):
        needed = graph.backward_of(graph.roots)
        for op in turn.ops:
            kind = KINDS.get(op.name)
            if kind is None or op.kind != "layer":
                continue
            own = [graph.values[each] for each in op.reads if each in graph.values]
            params = tuple(value.name for value in own if value.kind == "parameter")
            buffers = tuple(value.name for value in own if value.kind == "buffer")
            path = _path(op, params, buffers)
            statistics = kind == "batch_norm"
            line = op.lines()[0]
            runs.append(
                Run(
                    turn.step,
                    path,
                    not statistics or "batch statistics" in op.args,
                    op.grad,
                    1,
                    not needed.isdisjoint(op.makes),
                    _samples(op, kind, graph),
                    line,
                )
            )
            if path in layers:
                continue
            frozen = buffers[PAIR:] if statistics else ()
            beside = [each for each in names.statistics.values() if path and each.startswith(f"{path}.")]
            buffers = tuple(dict.fromkeys((*buffers, *beside)))
            layers[path] = Layer(
                path=path,
                kind=kind,
                class_name=op.label,
                statistics=statistics,
                moved=tuple(_moved(each, names, buffers) for each in turns) if statistics else (),
                seen=_seen(turns[0], names, buffers) if statistics else None,
                momentum=1.0 - float(past) if isinstance(past := op.args.get("weight of the past"), float) else None,
                affine=(*params, *frozen),
                trainable=tuple(value.name for value in own if value.kind == "parameter" and value.requires_grad),
                statistics_names=buffers,
            )
    return Modes(tuple(layers.values()), tuple(runs))


def _path(op: Made, params: tuple[str, ...], buffers: tuple[str, ...]) -> str:
    """The path of a layer: that of what it holds, else of the scope it ran in."""
    for name in (*params, *buffers):
        if "." in name:
            return name.rpartition(".")[0]
    return op.module or op.label.lower()


def _leaves(names: Any, buffers: tuple[str, ...]) -> list[Path]:
    """The running statistics of a layer; all there are, where they do not say whose they are."""
    mine = [path for path, name in names.statistics.items() if name in buffers]
    return mine or list(names.statistics)


def _moved(turn: Turn, names: Any, buffers: tuple[str, ...]) -> bool:
    from smokestep.backends.jax.assembly import distance

    return any(
        distance(turn.before[path], turn.after.get(path, turn.before[path])) != 0.0
        for path in _leaves(names, buffers)
        if path in turn.before
    )


def _seen(turn: Turn, names: Any, buffers: tuple[str, ...]) -> int | None:
    """0 if the statistics are as a layer is born with: means of 0, variances of 1."""
    found = [np.asarray(turn.before[path]) for path in _leaves(names, buffers) if path in turn.before]
    if found and all(array.size and (array == array.reshape(-1)[0]).all() for array in found):
        values = {float(array.reshape(-1)[0]) for array in found}
        return 0 if values <= {0.0, 1.0} else None
    return None


def _samples(op: Made, kind: ModuleKind, graph: Graph) -> int | None:
    """How many values each statistic was taken over."""
    inputs = [graph.values[each] for each in op.reads if each in graph.values]
    largest = max((value.shape for value in inputs if value.kind not in ("parameter", "buffer")), key=len, default=())
    if not largest:
        return None
    if kind == "batch_norm":
        return math.prod(largest[:-1])
    if kind == "layer_norm":
        return largest[-1]
    return None
