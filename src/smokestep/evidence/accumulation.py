"""Accumulation: the micro-batches whose gradients one update adds up, and with which weight each counts.

Read from the recorded events and the graph alone. A weight that is not the product of plain numbers is not known, and
what only looks like accumulation (several losses, one run over time, gradients rescaled by hand) is told as a reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.evidence.flow import Backward, Flow, Graph, Op
from smokestep.evidence.gradients import Gradients, Use
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.origins import VIEWS, bare
from smokestep.evidence.steps import Event, Optimizer, Steps
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

PRODUCTS = frozenset("mul multiply __mul__ __rmul__ __imul__".split())
QUOTIENTS = frozenset("div divide true_divide __truediv__ __itruediv__".split())
SUMS = frozenset("add __add__ __radd__ __iadd__ sub subtract __sub__ __isub__ sum mean".split())
BY_HAND = frozenset("mul div multiply divide true_divide __imul__ __itruediv__ _foreach_mul _foreach_div".split())


@dataclass(frozen=True, slots=True)
class Micro:
    """One backward pass of several. `factor`: what its loss was multiplied by; `divisors`: the divisions among it.

    `count`: how many targets its loss is a mean (or sum) of, those that are ignored left out; None if unknown.
    """

    factor: float
    divisors: tuple[float, ...]
    count: int | None
    reduction: str
    loss_name: str
    loss_line: Line | None
    line: Line | None


@dataclass(frozen=True, slots=True)
class Group:
    """The micro-batches of one update, in order. `skipped`: why they cannot be judged, `micros` is then empty.

    `scaled`: a gradient scaler multiplied every loss besides, by a number that it takes out again.
    `clipped`: gradients were clipped before the update.
    """

    optimizer: str
    step: int
    micros: tuple[Micro, ...] = ()
    clipped: bool = False
    scaled: bool = False
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Every update that uses more than one backward pass."""

    groups: tuple[Group, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Accumulation:
        """Derived from what became of every gradient, the graph and the recognised losses."""
        return accumulated(of(Steps), of(Gradients), of(Flow), of(Losses))


def accumulated(steps: Steps, gradients: Gradients, flow: Flow, losses: Losses) -> Accumulation:
    """The groups of all optimizers, in order."""
    known = {backward.index: (graph, backward) for graph in flow.graphs for backward in graph.backwards}
    found: list[Group] = []
    for optimizer in steps.optimizers:
        before = -1
        for use in gradients.of(optimizer.name):
            events = sorted({each.index: each for passes in use.fresh.values() for each in passes}.items())
            passes = [event for _, event in events if event.kind == "backward"]
            if len(passes) > 1:
                clipped = any(before < clip.event.index < use.event.index for clip in gradients.clips)
                found.append(_group(steps, optimizer, use, passes, known, losses, clipped))
            before = use.event.index
    return Accumulation(tuple(found))


def _group(
    steps: Steps,
    optimizer: Optimizer,
    use: Use,
    passes: Sequence[Event],
    known: Mapping[int, tuple[Graph, Backward]],
    losses: Losses,
    clipped: bool,
) -> Group:
    group = Group(optimizer.name, use.event.step, clipped=clipped)

    def skipped(why: str) -> Group:
        return Group(optimizer.name, use.event.step, skipped=why)

    held = {name for each in optimizer.groups for name in each.parameters}
    if len({frozenset(held & set(event.parameters)) for event in passes}) > 1:
        return skipped("its backward passes reach different parameters")
    if len({event.line for event in passes}) > 1:
        return skipped("its backward passes stand on different lines")
    if any(event.index not in known or len(known[event.index][1].roots) != 1 for event in passes):
        return skipped("not every backward pass was seen")
    micros: list[Micro] = []
    seen: set[int] = set()  # outputs of the model that an earlier micro-batch used
    scaled = "scale(" in (passes[0].line.code if passes[0].line else "")
    for event in passes:
        graph, backward = known[event.index]
        needed = graph.backward_of(backward.roots)
        if any(graph.values[each].kind == "carried" for each in needed if each in graph.values):
            return skipped("a micro-batch goes on from an earlier one: one run over time")
        if not seen.isdisjoint(needed):
            return skipped("several backward passes share one forward pass, or go on from an earlier one")
        seen |= {value for call in graph.calls for value in call.outputs if value in needed}
        mine = [c for c in losses.calls if c.step == graph.step and c.grad and c.result in needed]
        if len(mine) != 1:
            return skipped("a micro-batch has more than one recognised loss" if mine else "its loss is not recognised")
        weight = weight_of(graph, mine[0].result, backward.roots[0], scaled)
        if weight is None:
            return skipped("its loss is not weighted by plain numbers alone")
        factor, divisors = weight
        call = mine[0]
        micros.append(Micro(factor, divisors, counted(call), call.reduction, call.name, call.user_line, event.line))
    if len({(each.loss_name, each.loss_line, each.reduction) for each in micros}) > 1:
        return skipped("its micro-batches have different losses")
    graphs = {id(known[event.index][0]): known[event.index][0] for event in passes}
    if any(_by_hand(graph, steps, held) for graph in graphs.values()):
        return skipped("gradients are rescaled by hand")
    return Group(group.optimizer, group.step, tuple(micros), clipped, scaled)


def weight_of(graph: Graph, value: int, root: int, scaled: bool = False) -> tuple[float, tuple[float, ...]] | None:
    """What a scalar is multiplied by on its only way to a root, and the divisors among it; None if it is not certain.

    With `scaled`, one factor that is a tensor of its own is a gradient scaler's, and counts as 1.
    """
    if value in graph.values and math.prod(graph.values[value].shape) != 1:
        return None
    needed, readers = graph.backward_of([root]), graph.readers()
    factor, divisors = 1.0, []
    while value != root:
        after = [op for op in readers.get(value, ()) if not needed.isdisjoint(op.makes) and graph.passes_gradient(op)]
        if len(after) != 1 or len(after[0].makes) != 1 or after[0].reads.count(value) != 1:
            return None
        op = after[0]
        step = _factor(op, value)
        if step is None:
            other = [graph.values[each] for each in op.reads if each != value and each in graph.values]
            if not (scaled and bare(op.name) in PRODUCTS and [each.requires_grad for each in other] == [False]):
                return None
            step, scaled = 1.0, False
        if bare(op.name) in QUOTIENTS:
            divisors.append(1 / step)
        factor, value = factor * step, op.makes[0]
    return factor, tuple(divisors)


def _factor(op: Op, value: int) -> float | None:
    name = bare(op.name)
    numbers = [float(n) for n in op.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
    if name in VIEWS:
        return 1.0
    if name in SUMS and "alpha" not in op.args:
        return -1.0 if "sub" in name and op.reads[0] != value else 1.0
    if name in ("neg", "negative", "__neg__"):
        return -1.0
    if len(op.reads) == len(numbers) == 1 and numbers[0] and math.isfinite(numbers[0]):
        if name in PRODUCTS:
            return numbers[0]
        if name in QUOTIENTS:
            return 1 / numbers[0]
    return None


def counted(call: LossCall) -> int | None:
    """How many targets the loss of one call is taken over, those that are ignored left out."""
    if call.target is None or call.weighted:
        return None
    if call.classes is not None and call.target.shape == call.prediction.shape:  # a probability for every class
        return math.prod(call.target.shape) // max(call.classes, 1)
    return round(math.prod(call.target.shape) * (1 - (call.ignored or 0.0)))


def _by_hand(graph: Graph, steps: Steps, held: set[str]) -> bool:
    """An in-place product with a tensor of a parameter's shape that reaches no loss: a gradient divided at the end."""
    shapes = {each.shape for each in steps.parameters if each.name in held}
    needed = graph.backward_of(graph.roots)
    return any(_written(graph, op, needed, shapes) for op in graph.ops if bare(op.name) in BY_HAND)


def _written(graph: Graph, op: Op, needed: frozenset[int], shapes: set[tuple[int, ...]]) -> bool:
    inplace = op.inplace or op.name.endswith("_")
    made = [each for each in _values(graph, op) if each not in needed]
    return inplace and any(graph.values[each].shape in shapes for each in made)


def _values(graph: Graph, op: Op) -> Iterator[int]:
    yield from (each for each in (*op.makes, *op.reads) if each in graph.values)
