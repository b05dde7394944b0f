"""Penalties: the terms of a loss that are a function of parameters alone, such as weight decay written by hand.

Their gradient reaches every parameter, also one whose output nothing uses, so it must not count as use.
"""

from __future__ import annotations

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.paths import SHAPE_ONLY

DATA, WEIGHTS = 1, 2
REDUCES = frozenset("sum mean norm vector_norm matrix_norm linalg_norm dot mse_loss l1_loss".split())
SUMS = frozenset("add add_ __radd__ __iadd__ sub sub_ __rsub__ stack cat".split())
SOURCES = {"parameter": WEIGHTS, "buffer": 0, "made": 0}


def penalties(graph: Graph) -> frozenset[int]:
    """The ids of the ops that reduce parameters to a number which is only ever added to the loss."""
    label = {value.id: SOURCES.get(value.kind, DATA) for value in graph.values.values()}
    found: list[Op] = []
    for op in graph.ops:
        read = 0 if op.reads else DATA
        for each in op.reads if op.name not in SHAPE_ONLY else ():
            read |= label.get(each, 0)
        for made in op.makes:
            label[made] = label.get(made, 0) | read
        if op.name in REDUCES and read == WEIGHTS and _scalar(graph, op.makes) and not _scalar(graph, op.reads):
            found.append(op)
    readers = graph.readers() if found else {}

    def only_added(value: int) -> bool:
        for op in readers.get(value, ()):
            mixed = any(label.get(each, 0) & DATA for each in op.reads)
            if mixed and op.name not in SUMS:
                return False
            if not mixed and not (_scalar(graph, op.makes) or op.name in SUMS):
                return False
            if not mixed and not all(only_added(made) for made in op.makes):
                return False
        return True

    return frozenset(op.id for op in found if all(only_added(made) for made in op.makes))


def _scalar(graph: Graph, values: tuple[int, ...]) -> bool:
    return all(value in graph.values and graph.values[value].shape == () for value in values)
