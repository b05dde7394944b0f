"""Attention written by hand: scores, a softmax, and a product with values, with the masks on the way.

Pure questions to one step's graph. A renormalisation, a second softmax or anything else that is not known ends the
walk, so what is found is one softmax whose result is contracted as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.origins import COPIES, VIEWS, bare, normalised_along

PRODUCTS = frozenset("matmul __matmul__ bmm baddbmm einsum".split())
HIDES = frozenset(
    "masked_fill masked_fill_ where add sub __add__ __sub__ __rsub__ add_ sub_ baddbmm __setitem__".split()
)
SCALES = frozenset("mul div __mul__ __rmul__ true_divide __truediv__ mul_ div_".split())
COMPARES = frozenset(
    "eq ne lt le gt ge __eq__ __ne__ __lt__ __le__ __gt__ __ge__ tril triu tril_ triu_ logical_not logical_and "
    "logical_or __invert__ __and__ __or__ bitwise_not bitwise_and bool".split()
)
SWAPS = frozenset("transpose swapaxes swapdims".split())
NAMES = ("mask", "tril", "causal")


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention. `dim`: the dimension of the softmax, `contracted`: the one that the product with the values sums
    over, both counted from the end of the scores' `shape`. `before`, `after`: where a mask is multiplied with the
    scores or with the weights (`after` also: filled into them). `hidden`: scores are masked by other means as well.
    `summed`: the weights are also added up, as they are to be normalised anew.
    """

    softmax: Op
    product: Op
    shape: tuple[int, ...]
    dim: int
    contracted: int
    before: tuple[Op, ...]
    after: tuple[Op, ...]
    hidden: bool
    summed: bool


def attentions(graph: Graph) -> Iterator[Attention]:
    """Every attention of a step in which scores of two computed tensors weigh a third."""
    for op in graph.ops:
        dim, _ = normalised_along(graph, op)
        if bare(op.name) != "softmax" or dim is None or not op.reads:
            continue
        shape = graph.values[op.makes[0]].shape
        scored = _scored(graph, op.reads[0])
        if len(shape) < 2 or scored is None:
            continue
        (before, hidden), summed = scored, _summed(graph, op.makes[0])
        for product, at, after in _applied(graph, op.makes[0], dim - len(shape)):
            contracted = _contracted(graph, product, at)
            if contracted is not None:
                # `at` followed the softmax's dimension through transposes; the other of the last two moved with it.
                own = dim - len(shape)
                other = own if contracted == at[1] else _before(contracted, own, at[1])
                yield Attention(op, product, shape, own, other, before, after, hidden, summed)


def _before(contracted: int, own: int, moved: int) -> int:
    """Where a dimension beside the softmax's was before the transposes that moved the softmax's."""
    return moved if own != moved and contracted == own else contracted


def _scored(graph: Graph, value: int) -> tuple[tuple[Op, ...], bool] | None:
    """The masks that scores are multiplied with, and whether they are masked by other means; None for no scores."""
    masks: list[Op] = []
    hidden = False
    for _ in range(20):
        op = graph.maker(value)
        if op is None or not op.reads:
            return None
        if op.name in PRODUCTS:
            made = [graph.values[read] for read in op.reads[-2:]]
            hidden = hidden or op.name == "baddbmm"
            return (tuple(masks), hidden) if len(made) == 2 and all(each.kind == "made" for each in made) else None
        if len(op.reads) > 1 and op.name in HIDES:
            hidden = True
        elif op.name in SCALES and len(op.reads) == 2:
            masks += [op] if "mul" in op.name and any(masklike(graph, read) for read in op.reads) else []
        elif op.name == "masked_fill" or op.name == "masked_fill_":
            hidden = True
        elif op.name not in COPIES | SCALES | HIDES:
            return None
        trained = [read for read in op.reads if graph.values[read].requires_grad]
        if len(trained) != 1 and not (op.name == "__setitem__" and trained):
            return None
        value = trained[0]
    return None


def _applied(graph: Graph, value: int, dim: int) -> Iterator[tuple[Op, tuple[int, int], tuple[Op, ...]]]:
    """Every product that takes the weights: the op, (position among its arguments, the softmax's dimension now)."""
    ahead: list[tuple[int, int, tuple[Op, ...]]] = [(value, dim, ())]
    while ahead:
        value, dim, masks = ahead.pop()
        for op in graph.readers().get(value, ()):
            if op.name in PRODUCTS and op.name != "baddbmm" and len(op.reads) == 2:
                if all(graph.values[read].kind == "made" for read in op.reads):
                    yield op, (op.reads.index(value), dim), masks
                continue
            masked = "mul" in op.name and len(op.reads) == 2 and masklike(graph, op.reads[1 - op.reads.index(value)])
            if masked or op.name in ("masked_fill", "masked_fill_"):
                ahead += [(made, dim, (*masks, op)) for made in op.makes]
            elif "dropout" in op.name or op.name in ("to", "type_as", "float", "contiguous", "half", "bfloat16"):
                ahead += [(made, dim, masks) for made in op.makes]
            elif op.name in SWAPS or op.name in ("mT", "T", "t"):
                rank = len(graph.values[value].shape)
                pair = [int(n) % rank - rank for n in op.args.values() if isinstance(n, int)] if rank else []
                pair = pair if op.name in SWAPS else [-2, -1]
                if len(pair) == 2 and set(pair) == {-2, -1}:
                    ahead += [(made, {-1: -2, -2: -1}.get(dim, dim), masks) for made in op.makes]


def _contracted(graph: Graph, product: Op, at: tuple[int, int]) -> int | None:
    """The dimension of the weights, from their end, over which a product sums."""
    position, dim = at
    if product.name != "einsum":
        return -1 if position == 0 else -2
    equation = next((text for text in product.args.values() if isinstance(text, str) and "->" in text), "")
    if not equation or "." in equation:
        return None
    inputs, _, output = equation.replace(" ", "").partition("->")
    letters = inputs.split(",")[position]
    gone = [index - len(letters) for index, letter in enumerate(letters) if letter not in output]
    return gone[0] if len(gone) == 1 else None


def _summed(graph: Graph, value: int) -> bool:
    reached = graph.forward_of([value], through=lambda op: op.name not in PRODUCTS)
    return any(
        op.name in ("sum", "normalize", "norm", "logsumexp", "log") and not reached.isdisjoint(op.reads)
        for op in graph.ops
    )


def masklike(graph: Graph, value: int, depth: int = 0) -> bool:
    """Whether a value holds 0 and 1 only: a comparison, a triangle, a bool, an input whose name or peak says so."""
    it, op = graph.values[value], graph.maker(value)
    if it.requires_grad or depth > 8:
        return False
    if it.dtype == "bool":
        return True
    if op is None:
        named = any(word in it.name.lower() for word in NAMES)
        return it.kind in ("input", "buffer") and bool(it.shape) and (named or it.peak == 1.0)
    if op.name in COMPARES:
        return True
    numbers = [n for n in op.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
    turned = op.name in ("__rsub__", "rsub") and numbers == [1]
    if op.name in VIEWS or turned or op.name in ("__getitem__", "mul"):
        return bool(op.reads) and all(masklike(graph, read, depth + 1) for read in op.reads)
    return False
