"""What backward was called on: the losses of each step, whether they still have a history, and where gradient ends.

Pure questions to the graph and the events of the loop; "None" always means "not so, or not certain".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from smokestep.evidence.flow import Backward, Flow, Graph, Op
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import slope
from smokestep.evidence.steps import Steps
from smokestep.findings import Line

CUTS = frozenset("item detach detach_ data tolist numpy __float__ float".split())


@dataclass(frozen=True, slots=True)
class Total:
    """One line that calls backward: the losses there, a tuple for each step, and what they did.

    `still`: every gradient that arrived was exactly zero. `moved`: the largest update of a parameter that this loss
    reaches, as a share of the parameter's scale, in the steps before the last. `push`: the largest gradient, times the
    scale of its parameter. `root`, `step`: a value it began with.
    """

    line: Line | None
    losses: tuple[tuple[float, ...], ...]
    still: bool
    moved: float
    push: float
    root: int
    step: int
    dtype: str


def totals(steps: Steps, flow: Flow) -> Iterator[Total]:
    """The scalar losses that backward was called on, for every line and set of parameters reached."""
    groups: dict[tuple[Line | None, tuple[str, ...]], dict[int, list[float]]] = {}
    for event in steps.of("backward"):
        loss = event.detail.get("loss")
        if isinstance(loss, float) and math.isfinite(loss) and event.parameters:
            groups.setdefault((event.line, event.parameters), {}).setdefault(event.step, []).append(loss)
    moves = {(move.parameter, move.step): move for move in steps.movements}
    for (line, names), by_step in groups.items():
        if len({len(losses) for losses in by_step.values()}) != 1:
            continue
        of = [moves[name, step] for name in names for step in by_step if (name, step) in moves]
        roots = [
            (graph.values[backward.roots[0]], graph.step)
            for graph in flow.graphs
            for backward in graph.backwards
            if backward.line == line and backward.roots and backward.roots[0] in graph.values
        ]
        if of and roots:
            yield Total(
                line=line,
                losses=tuple(tuple(losses) for losses in by_step.values()),
                still=all(move.received == 0 for move in of),
                moved=max((move.update / (move.scale or 1.0) for move in of if move.step != max(by_step)), default=0.0),
                push=max((move.received or 0.0) * (move.scale or 1.0) for move in of),
                root=roots[0][0].id,
                step=roots[0][1],
                dtype=roots[0][0].dtype,
            )


def where_gradient_ends(graph: Graph, root: int) -> Op | None:
    """The last op on the way to a root that is given gradient and hands on exactly zero."""
    needed = graph.backward_of([root])
    for op in reversed(graph.ops):
        given = [graph.values[made].gradient for made in op.makes if made in needed and made in graph.values]
        handed = [graph.values[read].gradient for read in op.reads if graph.values[read].requires_grad]
        if any(each for each in given) and handed and all(each == 0 for each in handed):
            return op
    return None


def bare_root(graph: Graph, backward: Backward, losses: Losses, number: float | None) -> Op | None:
    """The op that made the root of a backward into a new leaf out of the number of a loss, if that is what it is.

    `number` is the root's own. A leaf whose making was not seen is told by what was cut just for it, or by its number.
    """
    if backward.reached or len(backward.roots) != 1 or backward.roots[0] not in graph.values:
        return None
    value = graph.values[backward.roots[0]]
    while (op := graph.maker(value.id)) is not None:
        history = [position for position, read in enumerate(op.reads) if graph.values[read].requires_grad]
        if not history:
            break
        if len(history) > 1 or slope(op, history[0]) is None:
            return None  # more than a weight lies between: a loss of something that requires gradient
        value = graph.values[op.reads[history[0]]]
    if value.kind == "parameter" or not value.requires_grad or math.prod(value.shape) != 1:
        return None
    if op is not None and any(graph.values[each].kind == "parameter" for each in graph.backward_of([value.id])):
        asked = [
            each for each in graph.ops if each.name == "requires_grad_" and not set(each.reads).isdisjoint(op.reads)
        ]
        return next((each for each in (*asked, op) if each.line), op)
    if value.kind != "leaf":
        return None
    read = graph.readers()
    cut = [
        each for each in graph.ops if each.name in ("data", "detach") and not any(made in read for made in each.makes)
    ]
    cut = [each for each in cut if any(graph.values[r].requires_grad and not graph.values[r].shape for r in each.reads)]
    same = [call for call in losses.calls if call.step == graph.step and number and call.loss == number]
    return cut[-1] if cut else graph.maker(same[-1].result) if same and same[-1].prediction.requires_grad else None


def added_as_a_number(graph: Graph, call: LossCall, fed: frozenset[int]) -> Op | None:
    """The cut through which a loss with a gradient history enters a root, if it enters only as a summand's number.

    `fed`: the values from which gradient has a way to a root.
    """
    if not call.prediction.requires_grad or call.result in fed:
        return None
    needed, reached = graph.backward_of(graph.roots), {call.result}
    numbers: dict[int, Op] = {}
    for op in graph.ops:
        summed = [numbers[read] for place, read in enumerate(op.reads) if read in numbers and slope(op, place)]
        cut = op if op.name in CUTS and not reached.isdisjoint(op.reads) else summed[0] if summed else None
        if cut is not None:
            numbers.update(dict.fromkeys(op.makes, cut))
        elif not reached.isdisjoint(op.reads) and any(slope(op, place) for place, _ in enumerate(op.reads)):
            reached.update(op.makes)
    return next((numbers[root] for root in graph.roots if root in numbers and root in needed), None)


def fed_by_gradient(graph: Graph) -> frozenset[int]:
    """Every value from which gradient has a way to a root: the ops between keep the history."""
    found = {root for root in graph.roots if root in graph.values and graph.values[root].requires_grad}
    for op in reversed(graph.ops):
        if any(value in found for value in op.makes):
            found.update(read for read in op.reads if read in graph.values and graph.values[read].requires_grad)
    return frozenset(found)
