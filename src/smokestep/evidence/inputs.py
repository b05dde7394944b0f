"""Inputs: for every model, which of the tensors it is given its outputs depend on, and whether they differ by sample.

Derived from Flow. Reading the shape of a tensor is no dependence on it; a Python condition on it is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.evidence.called import Called
from smokestep.evidence.flow import Call, Flow, Graph
from smokestep.evidence.paths import SHAPE_ONLY
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

CALLS = 8  # calls of one model looked at in a step: a model run over time is called with the same kind of input


@dataclass(frozen=True, slots=True)
class Model:
    """One model over all recorded calls. `ignored` are those of the inputs `given` that no call reads. `compared`:
    calls with differing samples and comparable outputs; `constant`: in all of them every sample had the same output."""

    name: str
    calls: int
    given: tuple[str, ...]
    ignored: tuple[str, ...]
    compared: int
    constant: bool
    opaque: bool
    line: Line | None
    called: Line | None

    def owns(self, parameter: str) -> bool:
        """Whether a parameter may be this model's: its name starts with the model's, or there is only one model."""
        return parameter.startswith(f"{self.name}.") or "." not in self.name


@dataclass(frozen=True, slots=True)
class Inputs:
    """The user's models that were called with tensors."""

    models: tuple[Model, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Inputs:
        """Derived from the graphs of the recorded steps."""
        return read(of(Called))


def read(flow: Flow | Called) -> Inputs:
    """What each model reads, over all graphs."""
    calls: defaultdict[str, list[tuple[Graph, Call]]] = defaultdict(list)
    for graph in flow.graphs:
        count: defaultdict[str, int] = defaultdict(int)
        for call in graph.calls:
            count[call.model] += 1
            if call.inputs and call.outputs and not call.installed and count[call.model] <= CALLS:
                calls[call.model].append((graph, call))
    return Inputs(tuple(_model(name, some) for name, some in calls.items()))


def _model(name: str, calls: list[tuple[Graph, Call]]) -> Model:
    given = dict.fromkeys(argument for _, call in calls for argument, _ in call.inputs)
    used: set[str] = set()
    for graph, call in calls:
        used.update(argument for argument, value in call.inputs if argument not in used and _reads(graph, call, value))
        # A batch handed over whole carries the targets too: what the loop itself reads is not ignored.
        read = {value for op in graph.ops if op.name not in SHAPE_ONLY for value in op.reads}
        used.update(argument for argument, value in call.inputs if "." in argument and value in read)
    spreads = [
        spread
        for graph, call in calls
        if call.varied and (spread := _spread(graph, call)) is not None
    ]  # fmt: skip
    first = calls[0][1]
    return Model(
        name,
        len(calls),
        tuple(given),
        tuple(argument for argument in given if argument not in used),
        len(spreads),
        bool(spreads) and max(spreads) == 0.0,
        any(graph.opaque or _copied(graph, call) for graph, call in calls),
        first.definition or first.line,
        first.line,
    )


def _reads(graph: Graph, call: Call, value: int) -> bool:
    """Whether anything the call returns, keeps for the loss or decides by depends on the entries of a value."""
    last = max(call.outputs)
    reached = {value}
    for op in graph.ops:
        if op.id > last:
            break
        if op.name not in SHAPE_ONLY and not reached.isdisjoint(op.reads):
            if op.escapes or not op.makes:
                return True
            reached.update(op.makes)
    return not reached.isdisjoint(graph.backward_of(call.outputs, lambda op: op.name not in SHAPE_ONLY))


def _copied(graph: Graph, call: Call) -> bool:
    """Whether the call reads a tensor of unknown origin that may be a copy of what it was given: for another device, in
    a part for each device, by an extension."""
    given = [graph.values[value] for _, value in call.inputs if value in graph.values]
    first, last = max(value for _, value in call.inputs), max(call.outputs)
    others = (
        graph.values[read] for op in graph.ops if first < op.id < last for read in op.reads if read in graph.values
    )
    return any(
        (other.kind, other.name, other.dtype, other.shape[1:]) == ("input", "", each.dtype, each.shape[1:])
        and other.id not in {value for _, value in call.inputs}
        for other in others
        for each in given
        if each.shape
    )


def _spread(graph: Graph, call: Call) -> float | None:
    """The largest difference between rows of any output that has a row for each sample."""
    rows = {graph.values[value].shape[:1] for _, value in call.inputs if value in graph.values}
    found = [
        spread
        for value, spread in zip(call.outputs, call.spread, strict=False)
        if spread is not None and value in graph.values and graph.values[value].shape[:1] in rows
    ]
    return max(found, default=None)
