"""Derivatives: what a loss makes of the results of `torch.autograd.grad`. Pure questions to one step's graph."""

from __future__ import annotations

from collections.abc import Iterator, Set

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.origins import VIEWS
from smokestep.evidence.paths import FRESH
from smokestep.evidence.summands import SCALES

NORMS = frozenset("norm vector_norm linalg_norm linalg_vector_norm".split())
SQUARES = frozenset("pow __pow__ square".split())
DIFFERENCES = frozenset("sub subtract __sub__ __rsub__ rsub".split())


def without_graph(op: Op) -> bool:
    """Whether this takes a derivative that has no gradient of its own."""
    return op.name == "grad" and op.grad and not op.args.get("create_graph")


def taken_without_graph(graph: Graph, term: int, root: int) -> Op | None:
    """The derivative that a term without gradient was computed from, if nobody said that it is to have none.

    A derivative of what this loss does not train (the score of a known noise, a teacher's slope) is data. One that
    moved a sample which a layer reads afterwards (Langevin's steps, adversarial inputs) was taken for the sample.
    """
    maker = graph.maker(term)
    if maker is None or graph.values[term].requires_grad or (maker.name in SCALES and 0 in maker.args.values()):
        return None
    before = graph.backward_of([term], through=lambda op: op.name != "grad")
    between = [op for op in graph.ops if not before.isdisjoint(op.makes)]
    if any((op.name in FRESH or not op.grad or op.escapes) and op.name != "grad" for op in between):
        return None
    taken = [op for op in between if without_graph(op) and _trained(graph, op, root)]
    return None if any(_moved_a_sample(graph, op, before) for op in taken) else next(iter(taken), None)


def _trained(graph: Graph, grad: Op, root: int) -> bool:
    """Whether a parameter, or something unknown, enters what is differentiated and gets gradient from this root."""
    before = graph.backward_of(grad.reads) & graph.backward_of([root], through=graph.passes_gradient)
    return any(graph.values[each].kind in ("parameter", "unknown") for each in before if each in graph.values)


def _moved_a_sample(graph: Graph, grad: Op, before: Set[int]) -> bool:
    """Whether what was made of the derivative on its way to the term is read beside a parameter."""
    made = graph.forward_of(grad.makes, through=lambda op: not before.isdisjoint(op.makes)) & before
    return any(
        not made.isdisjoint(op.reads) and any(graph.values[read].kind == "parameter" for read in op.reads)
        for op in graph.ops
    )


def norms(graph: Graph) -> Iterator[tuple[Op, Op]]:
    """Every norm of a derivative with respect to inputs from which a number is subtracted and the rest squared."""
    readers = graph.readers()
    for op in graph.ops:
        less = [after for made in op.makes for after in readers.get(made, ()) if after.name in DIFFERENCES]
        squared = [far for each in less for made in each.makes for far in readers.get(made, ()) if far.name in SQUARES]
        grad = _derivative(graph, op) if squared and all(len(each.reads) == 1 for each in less) else None
        if grad is not None and len(grad.reads) > 1 and graph.values[grad.reads[1]].kind != "parameter":
            if graph.values[grad.reads[1]].shape:
                yield op, grad


def _derivative(graph: Graph, op: Op) -> Op | None:
    """The call that took the derivative of which this op gives the norm, written out or not."""
    if op.name == "sqrt" or (op.name in SQUARES and 0.5 in op.args.values()):
        total = graph.maker(op.reads[0])
        while total is not None and total.name in ("add", "clamp", "clamp_min") and len(total.reads) == 1:
            total = graph.maker(total.reads[0])
        square = graph.maker(total.reads[0]) if total is not None and total.name == "sum" else None
        if square is None or not (square.name in SQUARES or (square.name == "mul" and len(set(square.reads)) == 1)):
            return None
        op = square
    elif op.name not in NORMS:
        return None
    source = graph.maker(op.reads[0])
    while source is not None and source.name in VIEWS:
        source = graph.maker(source.reads[0])
    return source if source is not None and source.name == "grad" else None
