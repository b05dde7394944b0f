"""Products: factors that are zero because their parameters are, and that keep each other so.

A parameter counts if it is zero in every entry, trainable, held by an optimizer that stepped, and got a gradient of
exactly 0 at every update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.origins import JOINS, LINEAR_LAYERS, TRANSPARENT, bare
from smokestep.evidence.reasons import PRODUCTS
from smokestep.evidence.steps import Steps
from smokestep.findings import Line

MULTIPLY = PRODUCTS | LINEAR_LAYERS
ADDED = frozenset({"addmm", "baddbmm"})  # whose first argument is added to the product of the others

SUMMED = frozenset("add __add__ __radd__ __iadd__ sub __sub__ __isub__".split())
# What gives zero for zero, whatever else it is given.
KEEPS = frozenset(
    "relu relu6 leaky_relu elu selu celu gelu silu tanh sin hardtanh softsign dropout dropout1d dropout2d dropout3d "
    "neg sum mean mul multiply __mul__ __rmul__ __imul__ div __truediv__ interpolate pixel_shuffle avg_pool1d "
    "avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d max_pool1d max_pool2d".split()
)


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
    for graph in [graph for graph in flow.graphs if graph.backwards][:1]:
        causes = _causes(graph, zeros)
        needed = graph.backward_of(graph.roots)
        for op in graph.ops:
            one, other = (causes.get(read, frozenset()) for read in _factors(op) or (-1, -1))
            if one and other and not one & other and not needed.isdisjoint(op.makes):
                line = op.caller or op.line
                before = found.get(line, Stuck(op, frozenset(), frozenset()))
                found[line] = Stuck(op, one | before.first, other | before.second, line)
    return tuple(found.values())


def _zeros(steps: Steps) -> frozenset[str]:
    moves: dict[str, list[bool]] = {}
    for move in steps.movements:
        still = move.scale == 0 and move.update == 0 and move.gradient in (None, 0.0)
        moves.setdefault(move.parameter, []).append(still and (move.gradient is None or move.requires_grad))
    got = {move.parameter for move in steps.movements if move.gradient == 0.0}
    held = {parameter.name for parameter in steps.parameters if parameter.optimizers and parameter.requires_grad}
    return frozenset(name for name, all_still in moves.items() if all(all_still)) & got & held


def _factors(op: Op) -> tuple[int, ...]:
    """The two values that an op multiplies; none if it is no product of two."""
    reads = op.reads[1:] if bare(op.name) in ADDED else op.reads
    return reads[:2] if bare(op.name) in MULTIPLY and len(reads) > 1 else ()


def _causes(graph: Graph, zeros: frozenset[str]) -> Mapping[int, frozenset[str]]:
    """For every value that is zero whatever the data are, the zero parameters that make it so."""
    found: dict[int, frozenset[str]] = {
        value.id: frozenset({value.name})
        for value in graph.values.values()
        if value.kind == "parameter" and value.name in zeros
    }
    for op in graph.ops:
        names = _kept(op, found)
        for made in op.makes if names else ():
            if graph.values[made].requires_grad and graph.values[made].peak == 0:
                found[made] = names
    return found


def _kept(op: Op, zero: Mapping[int, frozenset[str]]) -> frozenset[str]:
    """The zero parameters for which an op gives zero; none where it need not."""
    name, reads = bare(op.name), op.reads
    if factors := _factors(op):
        added = [read for read in reads if read not in factors]
        factors = factors[:1] if "div" in name else factors
        if any(read in zero for read in factors) and all(read in zero for read in added):
            return frozenset[str]().union(*(zero.get(read, ()) for read in reads))
    elif name == "embedding" and len(reads) > 1:
        return zero.get(reads[1], frozenset())
    elif reads and reads[0] in zero and (name in KEEPS or name in TRANSPARENT):
        return zero[reads[0]]
    elif name in JOINS | SUMMED and reads and all(read in zero for read in reads):
        plain = not any(isinstance(each, (int, float)) and each for key, each in op.args.items() if key == "1")
        if plain or name in JOINS:
            return frozenset[str]().union(*(zero[read] for read in reads))
    return frozenset()
