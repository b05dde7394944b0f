"""Sides: which argument of a loss is the prediction, where the order does not tell."""

from __future__ import annotations

from collections.abc import Sequence

from smokestep.backends.jax.cells import Cell, Made, Turn
from smokestep.evidence.flow import Graph

DISTANCES = frozenset({"mse_loss", "huber_loss"})
ADDED = frozenset({"add", "sub"})


def sides(op: Made, turn: Turn, graph: Graph) -> tuple[Cell, Cell | None]:
    """The prediction is what gradient goes to; failing that, the first that is real."""
    cells: Sequence[Cell] = [turn.cells[each] for each in op.reads]
    scores = [cell for cell in cells if "float" in cell.dtype]
    if op.name in DISTANCES:
        first = cells[0]
        if len(cells) == 2 and (stopped := _stopped(graph, *op.reads)) is not None:
            return turn.cells[stopped], cells[1]
    elif op.name == "kl_div":  # it reads its targets first
        trained = [cell for cell in cells if cell.requires_grad]
        first = trained[0] if len(trained) == 1 else cells[-1]
    else:
        first = next((cell for cell in scores if cell.requires_grad), scores[0] if scores else cells[0])
    others = [cell for cell in cells if cell is not first]
    return first, others[0] if others else None


def _stopped(graph: Graph, first: int, second: int) -> int | None:
    """The prediction that `stop_gradient` was put on in place of the target: the other side is a reward of the batch
    that no network is given, and what the same parameters make of the following state."""
    stop = graph.maker(first)
    if stop is None or stop.name != "detach" or not graph.values[stop.reads[0]].requires_grad:
        return None
    join = graph.maker(second)
    if join is None or join.name not in ADDED or len(join.reads) != 2 or not graph.values[second].requires_grad:
        return None
    before = [graph.backward_of([each]) for each in join.reads]
    own = graph.backward_of([stop.reads[0]])
    learned = [_kind(graph, part, "parameter") for part in (*before, own)]
    reward, value = (0, 1) if not learned[0] else (1, 0)
    if learned[reward] or not learned[value] or learned[value] != learned[2]:
        return None
    given = _kind(graph, before[reward], "input")
    seen = _kind(graph, before[value] | own, "input")
    named = {graph.values[each].name for each in given}
    return stop.reads[0] if any(name.startswith("batch") for name in named) and given.isdisjoint(seen) else None


def _kind(graph: Graph, values: frozenset[int], kind: str) -> frozenset[int]:
    return frozenset(each for each in values if each in graph.values and graph.values[each].kind == kind)
