"""Similarities: a batch that is compared with itself, and what becomes of the scores up to a softmax.

Pure questions to one step's graph; a mask, a pick or anything else that is not known ends the walk.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.origins import VIEWS, bare
from smokestep.findings import Line

PRODUCTS = frozenset("matmul mm einsum cosine_similarity".split())
SCALES = frozenset("mul div __mul__ __rmul__ true_divide __truediv__ mul_ div_".split())


def of_itself(graph: Graph, op: Op) -> bool:
    """Whether an op gives the similarities of every sample of a batch with every one."""
    if op.name not in PRODUCTS or len(op.reads) != 2 or not op.makes or not graph.passes_gradient(op):
        return False
    shape = graph.values[op.makes[0]].shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2 or len({_entries(graph, v) for v in op.reads}) != 1:
        return False
    return any(graph.values[v].kind == "input" for v in graph.backward_of(op.reads))


def _entries(graph: Graph, value: int) -> int:
    """The value that this is a view of, turned or not."""
    while (op := graph.maker(value)) is not None and op.reads and op.name in VIEWS | {"__getitem__"}:
        if op.name == "__getitem__" and len(graph.values[value].shape) <= len(graph.values[op.reads[0]].shape):
            break  # an index that adds a dimension keeps all entries
        value = op.reads[0]
    return value


def scores(graph: Graph, value: int) -> Iterator[int]:
    """The similarities, scaled by a number, or less their greatest."""
    ahead = [value]
    while ahead:
        yield (value := ahead.pop())
        for op in graph.readers().get(value, ()):
            others = [graph.values[each] for each in op.reads if each != value]
            scaled = op.name in SCALES and all(not each.shape for each in others)
            less = op.name == "sub" and others and not others[0].requires_grad and others[0].shape[-1:] == (1,)
            if scaled or (less and op.reads[0] == value) or op.name in ("clone", "float", "contiguous"):
                ahead += op.makes


def summed(graph: Graph, kept: frozenset[int]) -> Iterator[Line | None]:
    """Where exponentials of the scores are added up along one dimension, and the logarithm taken or divided by it."""
    readers = graph.readers()
    for op in (op for value in kept for op in readers.get(value, ())):
        if op.name == "logsumexp":
            yield op.caller
        if bare(op.name) != "exp":
            continue
        for total in (each for made in op.makes for each in readers.get(made, ()) if each.name == "sum"):
            if not graph.values[total.makes[0]].shape:
                continue
            one = total.makes[0]
            more = [far.makes[0] for far in readers.get(one, ()) if far.name == "add" and len(far.reads) == 1]
            after = [(value, far) for value in (one, *more) for far in readers.get(value, ())]
            if any(far.name == "log" or ("div" in far.name and far.reads[-1] == value) for value, far in after):
                yield total.caller
