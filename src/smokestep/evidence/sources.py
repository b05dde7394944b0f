"""Sources: the operation that carries what happens at one position to an earlier one, in two runs side by side.

Time is followed by size and by what changed: a dimension in which nothing before the nudged position differs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from smokestep.evidence.flow import Graph
from smokestep.evidence.trials import Spread, Touch
from smokestep.findings import Line

MASKING = frozenset("masked_fill masked_fill_ where add add_ iadd __iadd__ sub mul __setitem__".split())
ATTENTION = frozenset("scaled_dot_product_attention multi_head_attention_forward _native_multi_head_attention".split())
TRIANGLES = frozenset("tril triu tril_ triu_ generate_square_subsequent_mask".split())
CAST = frozenset("softmax softmax_ exp sigmoid".split())


@dataclass(frozen=True, slots=True)
class Source:
    """The operation at fault: its name and line. `masked`: scores are masked (None: it cannot be told), and `mask` is
    the line on which the mask was made, if only one is known."""

    op: str
    line: Line | None
    caller: Line | None
    masked: bool | None = None
    mask: Line | None = None

    @property
    def cause(self) -> Line | None:
        """The user's line to look at: where the mask is made, else where the operation is called."""
        return self.mask or (self.caller if self.line is None or self.line.installed else self.line)


def source_of(touches: Sequence[Touch], at: int, sizes: Collection[int], graph: Graph | None) -> Source | None:
    """The first operation whose inputs differ from position `at` on, and whose result also differs before it."""
    pending: Touch | None = None  # scores of all positions with all, which a mask may still put right
    shaping: list[Touch] = []
    reduced: Touch | None = None
    for touch in touches:
        before = [each for each in touch.reads if each.touched]
        after = [each for each in touch.makes if each.touched]
        if not before or not after or all(_ahead(each, at, sizes) for each in after):
            if pending is not None and any(_square(each, sizes) for each in before):
                pending, shaping = None, []
            continue
        if all(_ahead(each, at, sizes) for each in before):
            if touch.name in ATTENTION:
                return _attention(touch, touch.name, _given_mask(touch), graph)
            if any(_square(each, sizes) for each in after):
                pending, shaping = pending or touch, []
            elif any(any(_along(size, sizes) for size in each.shape) for each in after):
                return Source(touch.name, touch.line, touch.caller)
            else:
                reduced = reduced or touch
        elif pending is not None and any(_square(each, sizes) for each in before):
            if any(_square(each, sizes) for each in after):
                shaping.append(touch)
            else:
                return _scores(pending, shaping, graph)
    return None if reduced is None else Source(reduced.name, reduced.line, reduced.caller)


def _ahead(spread: Spread, at: int, sizes: Collection[int]) -> bool:
    """Whether some dimension may be time, with nothing before `at` different."""
    pairs = zip(spread.shape, spread.indices, strict=True)
    return any(_along(size, sizes) and indices and min(indices) >= at for size, indices in pairs)


def _along(size: int, sizes: Collection[int]) -> bool:
    return any(each > 1 and size % each == 0 for each in sizes)


def _square(spread: Spread, sizes: Collection[int]) -> bool:
    return sum(size in sizes for size in spread.shape) >= 2


def _given_mask(touch: Touch) -> bool | None:
    if touch.name == "scaled_dot_product_attention":
        return len(touch.reads) > 3 or bool(dict(touch.args).get("is_causal"))
    return None


def _scores(pending: Touch, shaping: Sequence[Touch], graph: Graph | None) -> Source:
    masks = [each for each in shaping if each.name in MASKING and len(each.reads) > 1]
    fitting = next((each for each in shaping if each.name in CAST), None)
    return _attention(masks[0] if masks else fitting or pending, "attention", bool(masks), graph)


def _attention(touch: Touch, op: str, masked: bool | None, graph: Graph | None) -> Source:
    found: set[Line] = set()
    if graph is not None and masked is not False:
        for each in graph.ops:
            if each.name == touch.name and each.line == touch.line:
                needed = graph.backward_of(each.reads)
                found |= {o.line for o in graph.ops if o.name in TRIANGLES and o.line and needed & set(o.makes)}
    user = [each for each in found if not each.installed]
    mask = user[0] if len(user) == 1 else None
    return Source(op, touch.line, touch.caller, True if mask and masked is None else masked, mask)
