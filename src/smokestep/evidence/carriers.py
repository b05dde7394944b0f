"""Carriers: the operation that carries what happens at one position to an earlier one, in two runs side by side.

Time is followed by size and by what changed: a dimension in which nothing before the nudged position differs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from smokestep.evidence.flow import Graph
from smokestep.evidence.trials import Spread, Touch
from smokestep.findings import Line

MASKING = frozenset("masked_fill masked_fill_ where add add_ iadd __iadd__ sub mul __setitem__".split())
SCALED = frozenset(["scaled_dot_product_attention"])
ATTENTION = SCALED | frozenset("multi_head_attention_forward _native_multi_head_attention".split())
TRIANGLES = frozenset("tril triu tril_ triu_ generate_square_subsequent_mask".split())
PRODUCTS = frozenset("matmul __matmul__ bmm baddbmm einsum".split())
CAST = frozenset("softmax softmax_ exp sigmoid".split())
RECURRENT = frozenset("lstm gru rnn_tanh rnn_relu".split())
CELLS = frozenset("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell".split())
CONVOLUTIONS = frozenset("conv1d conv2d conv3d".split())
CUTTING = frozenset("__getitem__ narrow select slice split chunk unbind tensor_split".split())  # they only renumber


@dataclass(frozen=True, slots=True)
class Carrier:
    """The operation at fault: its name and line. `masked`: scores are masked (None: it cannot be told), and `mask` is
    the line on which the mask was made, if only one is known. `reduces`: what it makes has no positions."""

    op: str
    line: Line | None
    caller: Line | None
    masked: bool | None = None
    mask: Line | None = None
    reduces: bool = False

    @property
    def cause(self) -> Line | None:
        """The user's line to look at: where the mask is made, else where the operation is called."""
        return self.mask or (self.caller if self.line is None or self.line.installed else self.line)


def carrier_of(touches: Sequence[Touch], at: int, sizes: Collection[int], graph: Graph | None) -> Carrier | None:
    """The first operation whose inputs differ from position `at` on, and whose result also differs before it."""
    pending: Touch | None = None  # scores of all positions with all, which a mask may still put right
    shaping: list[Touch] = []
    reduced: Touch | None = None
    last: Touch | None = None  # a last state sums up all positions, where something reads it
    for touch in touches:
        before = [each for each in touch.reads if each.touched]
        made = touch.makes[:1] if touch.name in RECURRENT else touch.makes  # the last state stands at no position
        made = () if touch.name in RECURRENT and _only_state(touch, graph) else made
        after = [each for each in made if each.touched]
        if touch.name in RECURRENT and before and any(each.touched for each in touch.makes[1:]):
            last = last or touch
        if not before or not after or touch.name in CUTTING:
            continue
        if all(_ahead(each, at, sizes) for each in after):
            if pending is not None and any(_square(each, sizes) for each in before):
                pending, shaping = None, []
            continue
        if all(_ahead(each, at, sizes) for each in before):
            if not any(any(_along(size, sizes) for size in each.shape) for each in after):
                reduced = reduced or touch
            elif touch.name in ATTENTION:
                return _attention(touch, touch.name, _given_mask(touch), graph)
            elif any(_square(each, sizes) for each in after):
                pending, shaping = pending or touch, []
            else:
                return Carrier(touch.name, touch.line, touch.caller)
        elif pending is not None and any(_square(each, sizes) for each in before):
            if any(_square(each, sizes) for each in after):
                shaping.append(touch)
            else:
                return _scores(pending, shaping, graph)
    reduced = reduced or last
    return None if reduced is None else Carrier(reduced.name, reduced.line, reduced.caller, reduces=True)


def _only_state(touch: Touch, graph: Graph | None) -> bool:
    """Whether of a recurrence nothing but its last state is read on: its output sequence carries nothing anywhere."""
    here = [op for op in graph.ops if op.name == touch.name and op.line == touch.line] if graph is not None else []
    return bool(here) and not any(graph.readers().get(op.makes[0]) for op in here if graph is not None and op.makes)


def _ahead(spread: Spread, at: int, sizes: Collection[int]) -> bool:
    """Whether some dimension may be time, with nothing before `at` different; of scores it is that of the queries."""
    pairs = [(size, each) for size, each in zip(spread.shape, spread.indices, strict=True) if each]
    if _square(spread, sizes):
        pairs = [pair for pair in pairs if pair[0] in sizes][:1]
    return any(_along(size, sizes) and min(indices) >= at for size, indices in pairs)


def _along(size: int, sizes: Collection[int]) -> bool:
    return any(each > 1 and size % each == 0 for each in sizes)


def _square(spread: Spread, sizes: Collection[int]) -> bool:
    return sum(size in sizes for size in spread.shape) >= 2


def _given_mask(touch: Touch) -> bool | None:
    if touch.name == "scaled_dot_product_attention":
        return len(touch.reads) > 3 or bool(dict(touch.args).get("is_causal"))
    return None


def _scores(pending: Touch, shaping: Sequence[Touch], graph: Graph | None) -> Carrier:
    if pending.name in CAST:
        return Carrier(pending.name, pending.line, pending.caller)
    masks = [each for each in shaping if each.name in MASKING and len(each.reads) > 1]
    fitting = next((each for each in shaping if each.name in CAST), None)
    return _attention(masks[0] if masks else fitting or pending, "attention", bool(masks), graph)


def _attention(touch: Touch, op: str, masked: bool | None, graph: Graph | None) -> Carrier:
    found: set[Line] = set()
    if graph is not None and masked is not False:
        for each in graph.ops:
            if each.name == touch.name and each.line == touch.line:
                needed = graph.backward_of(each.reads)
                found |= {o.line for o in graph.ops if o.name in TRIANGLES and o.line and needed & set(o.makes)}
    user = [each for each in found if not each.installed]
    mask = user[0] if len(user) == 1 else None
    return Carrier(op, touch.line, touch.caller, True if mask and masked is None else masked, mask)


def mixer(touches: Sequence[Touch], sizes: Collection[int]) -> Carrier | None:
    """The first operation that works along time, whatever it makes of it: attention, recurrence, a window; of attention
    by hand it is the one that masks its scores."""
    first: Touch | None = None
    scored = False  # a product of the sequence with itself; a square may also have as many classes as positions
    for touch in touches:
        shapes = [each.shape for each in touch.reads]
        square = any(_square(each, sizes) for each in touch.makes)
        scored = scored or (square and touch.name in PRODUCTS and sum(each.touched for each in touch.reads) > 1)
        if scored and square and touch.name in MASKING and not all(each.touched for each in touch.reads):
            return Carrier("attention", touch.line, touch.caller, masked=True)
        attends = touch.name in ATTENTION and _over(touch, sizes, -2 if touch.name in SCALED else 0)
        recurs = touch.name in RECURRENT and (_over(touch, sizes, 0) or _over(touch, sizes, 1))
        window = [size > 1 for size in shapes[1][2:]] if touch.name in CONVOLUTIONS and len(shapes) > 1 else []
        convolves = any(wide and _over(touch, sizes, d - len(window)) for d, wide in enumerate(window))
        if (square and scored) or attends or convolves or recurs:
            first = first or touch
    return None if first is None else Carrier(first.name, first.line, first.caller)


def _over(touch: Touch, sizes: Collection[int], dim: int) -> bool:
    """Whether this dimension of the first input is time: it has that size, and differs in a part of it only."""
    spread = touch.reads[0] if touch.reads else None
    if spread is None or not -len(spread.shape) <= dim < len(spread.shape) or not spread.touched:
        return False
    return spread.shape[dim] in sizes and len(spread.indices[dim]) < spread.shape[dim]


def spreading(touches: Sequence[Touch], at: int, sizes: Collection[int]) -> bool:
    """Whether some operation carries the change of position `at` to a later one."""
    return any(
        size in sizes and len(indices) > 1 and min(indices) >= at
        for touch in touches
        for spread in touch.makes
        if not _square(spread, sizes)  # which keys a query scores is no path yet
        for size, indices in zip(spread.shape, spread.indices, strict=True)
    )
