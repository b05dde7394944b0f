"""Rearranged: where a reshape gives the dimensions of a tensor another order without moving its entries."""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.shapes import Shape

RESHAPES = frozenset("view reshape view_as reshape_as flatten unflatten".split())
MOST = 6  # dimensions of a segment that are tried in every assignment; tensors have few


def rearranged(graph: Graph) -> Iterator[tuple[Op, Shape, Shape]]:
    """Each reshape of what the loss needs whose result has the dimensions of what it read in another order.

    The first dimension stays out of it: where rows of a batch are torn, the experiments on influence tell. Parameters
    and what is made of them alone may be laid out in any way.
    """
    needed = graph.backward_of(graph.roots)
    given = graph.forward_of(value.id for value in graph.values.values() if value.kind in ("input", "carried"))
    for op in graph.ops:
        if op.name in RESHAPES and op.reads and op.makes and op.makes[0] in needed and op.reads[0] in given:
            before, after = (graph.values[each].shape for each in (op.reads[0], op.makes[0]))
            if before[:1] == after[:1] and any(_reordered(*pair) for pair in segments(before, after)):
                yield op, before, after


def segments(before: Shape, after: Shape) -> Iterator[tuple[Shape, Shape]]:
    """The shortest runs of dimensions of both shapes that hold as many entries; dimensions of one are left out."""
    first, second = [each for each in before if each != 1], [each for each in after if each != 1]
    if 0 in first:
        return
    while first and second:
        left, right = [first.pop(0)], [second.pop(0)]
        held, made = left[0], right[0]
        while held != made:
            if held < made and first:
                left.append(first.pop(0))
                held *= left[-1]
            elif made < held and second:
                right.append(second.pop(0))
                made *= right[-1]
            else:
                return
        yield tuple(left), tuple(right)


def _reordered(before: Shape, after: Shape) -> bool:
    """Whether one shape is the other's dimensions in another order, some of them merged."""
    if len(before) < 2 or len(after) < 2 or max(len(before), len(after)) > MOST:
        return False
    if (len(after) == 2 and before[-1] % after[-1] == 0) or (len(before) == 2 and after[-1] % before[-1] == 0):
        return False  # the last dimension is split, and what is left of it counts with those before; or the reverse
    fine, coarse = (before, after) if len(before) >= len(after) else (after, before)
    return _assigned(fine, coarse)


def _assigned(fine: Shape, coarse: Shape) -> bool:
    """Whether every dimension of one shape can be given to one of the other so that the products agree."""
    if not fine:
        return all(each == 1 for each in coarse)
    return any(
        coarse[i] % fine[0] == 0 and _assigned(fine[1:], (*coarse[:i], coarse[i] // fine[0], *coarse[i + 1 :]))
        for i in range(len(coarse))
    )
