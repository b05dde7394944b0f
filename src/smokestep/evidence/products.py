"""Products: factors that are zero because their parameters are, and that keep each other so.

A parameter counts if it is zero in every entry, trainable, held by an optimizer that stepped, and got a gradient of
exactly 0 at every update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.origins import LINEAR_LAYERS, bare
from smokestep.evidence.reasons import PRODUCTS
from smokestep.evidence.steps import Steps
from smokestep.findings import Line

MULTIPLY = PRODUCTS | LINEAR_LAYERS


@dataclass(frozen=True, slots=True)
class Stuck:
    """One product of two zeros: the zero parameters that each factor comes from, and the line that multiplies."""

    op: Op
    first: frozenset[str]
    second: frozenset[str]
    line: Line | None = None


def stuck(steps: Steps, flow: Flow) -> tuple[Stuck, ...] | None:
    """The products whose factors are both zero in every step, those on one line once; None if no parameter counts."""
    zeros = _zeros(steps)
    if not zeros:
        return None
    found: dict[object, Stuck] = {}
    graphs = [graph for graph in flow.graphs if graph.backwards]
    for graph in graphs[:1]:
        causes = _causes(graph, zeros)
        needed = graph.backward_of(graph.roots)
        for op in graph.ops:
            if bare(op.name) not in MULTIPLY or len(op.reads) < 2 or needed.isdisjoint(op.makes):
                continue
            one, other = (causes.get(read, frozenset()) for read in op.reads[:2])
            if one and other and not one & other:
                line = op.caller or op.line
                before = found.get(line)
                found[line] = (
                    Stuck(op, one | before.first, other | before.second, line)
                    if before
                    else Stuck(op, one, other, line)
                )
    return tuple(found.values())


def _zeros(steps: Steps) -> frozenset[str]:
    moves: dict[str, list[bool]] = {}
    for move in steps.movements:
        still = move.scale == 0 and move.update == 0 and move.gradient in (None, 0.0)
        moves.setdefault(move.parameter, []).append(still and (move.gradient is None or move.requires_grad))
    got = {move.parameter for move in steps.movements if move.gradient == 0.0}
    held = {parameter.name for parameter in steps.parameters if parameter.optimizers and parameter.requires_grad}
    return frozenset(name for name, all_still in moves.items() if all(all_still)) & got & held


def _causes(graph: Graph, zeros: frozenset[str]) -> Mapping[int, frozenset[str]]:
    """For every value that is zero, the zero parameters that it comes from by gradient."""
    found: dict[int, frozenset[str]] = {
        value.id: frozenset({value.name})
        for value in graph.values.values()
        if value.kind == "parameter" and value.name in zeros
    }
    for op in graph.ops:
        names = frozenset[str]().union(*(found.get(read, frozenset()) for read in op.reads))
        for made in op.makes if names else ():
            value = graph.values[made]
            if value.requires_grad and value.peak == 0:
                found[made] = names
    return found
