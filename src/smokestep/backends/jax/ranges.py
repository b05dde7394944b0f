"""Ranges: between which numbers the outputs of a model lie, beside what was promised for them.

Where a model ends is the user's to say. So where one leaves the promised range, what each of its entries becomes by
itself (a sigmoid, a rescaling) may keep the promise in its stead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from smokestep.backends.jax import numbers
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.models import PLAIN, final
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.numbers import Numbers, Output

Interval = tuple[float | None, float | None]
TOLERANCE = 1e-5  # as the check's


def numbers_of(turns: Sequence[Turn], called: Flow, training: Any) -> Numbers:
    """What is known of the numbers of all steps: of activations, and of the outputs of models."""
    return replace(numbers.evidence(turns), outputs=tuple(outputs(turns, called, training)))


def outputs(turns: Sequence[Turn], called: Flow, training: Any) -> Iterator[Output]:
    """The outputs of every model that is differentiated.

    One interval is the promise of one output: where one keeps it in all calls of a step, the others never made it.
    """
    promised = getattr(training, "output_range", None)
    if promised is None:
        return
    single = isinstance(promised, tuple) and not isinstance(promised[0], (tuple, list))
    for turn, graph in zip(turns, called.graphs, strict=True):
        found: dict[tuple[str, int], list[Output]] = {}
        for call in final(graph.calls, graph):
            if call.model == PLAIN and (graph.opaque or (single and len(call.outputs) > 1)):
                continue  # what lies within, or which of the values is meant, is not known
            for index, value in enumerate(call.outputs):
                if call.model == PLAIN and not graph.values[value].shape:
                    continue
                interval = promised if single else promised[index] if index < len(promised) else None
                told = interval and next(_kept(turn, graph, value, interval), None)
                if told is not None:
                    output = Output(graph.step, call.model, index, value, *told, promised=interval)
                    found.setdefault((call.model, index), []).append(output)
        keeping = [each for each in found.values() if all(_keeps(output) for output in each)]
        for each in keeping if single and keeping else found.values():
            yield from each


def _keeps(output: Output) -> bool:
    return output.promised is None or _within((output.low, output.high), output.promised)


def _kept(turn: Turn, graph: Graph, value: int, interval: Interval) -> Iterator[tuple[float, float]]:
    """The range of the first value on the way that keeps to the interval, else that of the output itself."""
    own = _range(turn, value)
    if own is None:
        return
    data = graph.forward_of(v.id for v in graph.sources("input") if v.name.startswith("batch"))
    ahead, seen = [value], {value}
    while ahead:
        each = ahead.pop(0)
        found = _range(turn, each)
        if found is not None and _within(found, interval):
            yield found
        for op in graph.readers().get(each, ()):
            others = [read for read in op.reads if read != each]
            if op.grad and not any(_joins(graph, read, data) for read in others):
                made = [m for m in op.makes if m in graph.values and m not in seen]
                ahead += [m for m in made if graph.values[m].shape == graph.values[each].shape]
                seen.update(made)
    yield own


def _joins(graph: Graph, value: int, data: frozenset[int]) -> bool:
    """Whether a value is data, or was learned: no bound or scale that is the same for all."""
    return value in data or value not in graph.values or graph.values[value].requires_grad


def _range(turn: Turn, value: int) -> tuple[float, float] | None:
    cell = turn.cells.get(value)
    whole = cell.whole if cell is not None else None
    if whole is None or not whole.size or "float" not in str(whole.dtype):
        return None
    return float(whole.min()), float(whole.max())


def _within(found: tuple[float, float], interval: Interval) -> bool:
    low, high = interval
    below = low is not None and found[0] < low - TOLERANCE * max(1.0, abs(low))
    above = high is not None and found[1] > high + TOLERANCE * max(1.0, abs(high))
    return not below and not above
