"""Roles: which network each backward pass moved, and what its loss asked of that network.

Derived from the flow and from which update used which gradient. A network here is a root model, or a part of one that
is called by itself; what could not be seen stays None and proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from smokestep.evidence.flow import Backward, Call, Flow, Graph, Op, Value
from smokestep.evidence.gradients import Gradients
from smokestep.evidence.losses import Losses
from smokestep.evidence.origins import JOINS, SUMS, TRANSPARENT, bare
from smokestep.evidence.steps import Event, Steps
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

LINEAR = TRANSPARENT | JOINS | SUMS | frozenset("neg negative __neg__ sub subtract __sub__ rsub __rsub__".split())
PRODUCTS = frozenset("mul multiply __mul__ __rmul__ div divide true_divide __truediv__".split())
REGRESSIONS = frozenset("mse_loss smooth_l1_loss huber_loss l1_loss pow square __pow__".split())
DRAWN = ("rand", "normal", "bernoulli", "uniform_")  # the beginnings of the names of what draws random numbers
# What a policy's log-probability is made with.
LOGARITHMS = frozenset("log log_softmax logsumexp cross_entropy nll_loss log_prob logsigmoid".split())


@dataclass(frozen=True, slots=True)
class Push:
    """One backward pass that moved one network through the outputs of one of its calls.

    `line`: the backward pass. `loss`: the line that made what it was called on. `update` used its gradient.
    `over`: the networks whose outputs this call was computed from; `along`: those of them through which gradient went
    on, and which this backward pass moved as well. `linear`: the loss is linear in the outputs. `used`: position and
    number of dimensions of the outputs that the loss depends on. `scales`: networks whose log-probabilities the outputs
    were multiplied with, and which it moved as well. `movers`: the optimizers that moved those of the two. `sign`: of
    d loss / d output, if it is the same throughout. `target`: the one number that every loss compares the outputs with,
    None where one compares what this call and another of the network gave (a relativistic discriminator).
    `origin`: what the networks in `over` were given: elements of the batch by name, "noise" drawn in the step, "" for
    data without a name.
    `custom`: a custom autograd function lies on the way. `stale`: the update used gradients that one had used before.
    `fitted`: a regression compares the outputs with something. `through`: the networks that were given the outputs on
    the way to the loss, each with the sign of d loss / d its output.
    """

    step: int
    network: str
    line: Line | None
    loss: Line | None
    update: Event
    parameters: tuple[str, ...]
    over: frozenset[str] = frozenset()
    along: frozenset[str] = frozenset()
    movers: frozenset[str] = frozenset()
    linear: bool = False
    used: tuple[tuple[int, int], ...] = ()
    scales: frozenset[str] = frozenset()
    sign: int | None = None
    target: float | None = None
    origin: frozenset[str] = frozenset()
    custom: bool = False
    stale: bool = False
    fitted: bool = False
    through: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """Every push, in order; `networks` maps each network to its parameters."""

    pushes: tuple[Push, ...] = ()
    networks: Mapping[str, frozenset[str]] | None = None

    @classmethod
    def gather(cls, world: World, of: Of) -> Roles:
        """Followed through the flow of the recorded steps."""
        return pushes(of(Steps), of(Gradients), of(Flow), of(Losses))


def pushes(
    steps: Steps, gradients: Gradients, flow: Flow, losses: Losses, *, even: float = 0.5, alike: int = 4
) -> Roles:
    """Every push of the recorded steps.

    `even`: a gradient counts as of one sign when its mean is at least this share of its peak; a constant gradient has
    share 1, one that is centred on zero has share 0. `alike`: calls from one line (a rollout) that are looked at.
    """
    names = {call.model for graph in flow.graphs for call in graph.calls}
    names -= {""} if len(names) > 1 else set()  # all of them together
    networks = {
        name: frozenset(p.name for p in steps.parameters if p.model == name or p.name.startswith(f"{name}."))
        for name in names
    }
    networks = {name: own for name, own in networks.items() if own}
    if len(networks) < 2:
        return Roles((), networks)
    used: dict[int, dict[str, Event]] = {}  # backward pass -> what used its gradient
    stale = {use.event.index: use.stale.keys() for use in gradients.uses}
    for use in gradients.uses:
        for name, events in use.fresh.items():
            for event in events:
                used.setdefault(event.index, {}).setdefault(name, use.event)
    found: list[Push] = []
    for graph, joined in _iterations(flow.graphs):
        targets = {
            call.prediction.value: call.target.low
            for call in losses.calls
            if call.step in joined and call.target and call.target.low == call.target.high and call.classes is None
        }
        ends = [graph.backward_of(backward.roots, graph.passes_gradient) for backward in graph.backwards]
        for backward, needed in zip(graph.backwards, ends, strict=True):
            by = used.get(backward.index, {})
            moved = {name for name, own in networks.items() if not own.isdisjoint(by)}
            told: Counter[tuple[str, Line | None]] = Counter()
            for call in graph.calls:
                if call.model not in moved or needed.isdisjoint(call.outputs) or told[call.model, call.line] >= alike:
                    continue
                told[call.model, call.line] += 1
                own = tuple(sorted(networks[call.model] & by.keys()))
                once = sum(not each.isdisjoint(call.outputs) for each in ends) == 1
                push = _push(graph, call, backward, needed, moved, by[own[0]], own, targets, even if once else 2.0)
                along = {name for model in push.along | push.scales for name in networks[model]}
                movers = frozenset(by[name].subject for name in along & by.keys())
                old = not stale[push.update.index].isdisjoint(own)
                found.append(replace(push, movers=movers, stale=old))
    return Roles(tuple(found), networks)


def _iterations(graphs: Iterable[Graph]) -> list[tuple[Graph, frozenset[int]]]:
    """The graphs, those in one whose backward passes go on into the step before; each with the steps it holds.

    A watched loop that steps one optimizer twice an iteration is cut into two steps at the first update.
    """
    found: list[tuple[Graph, frozenset[int]]] = []
    for graph in graphs:
        needed = graph.backward_of(graph.roots, graph.passes_gradient)
        carried = {each.id for each in graph.sources("carried") if each.requires_grad} & needed
        if found and not carried.isdisjoint(made := found[-1][0].values):
            before, steps = found.pop()
            graph = replace(
                graph,
                values={**graph.values, **made},
                ops=(*before.ops, *graph.ops),
                backwards=(*before.backwards, *graph.backwards),
                calls=(*before.calls, *graph.calls),
                opaque=(*before.opaque, *graph.opaque),
            )
            found.append((graph, steps | {graph.step}))
        else:
            found.append((graph, frozenset({graph.step})))
    return found


def _push(
    graph: Graph,
    call: Call,
    backward: Backward,
    needed: frozenset[int],
    moved: Iterable[str],
    update: Event,
    parameters: tuple[str, ...],
    targets: Mapping[int, float | None],
    even: float,
) -> Push:
    given = [value for _, value in call.inputs]
    before, along = graph.backward_of(given), graph.backward_of(given, graph.passes_gradient)
    others = [each for each in graph.calls if each.model != call.model and each.index < call.index]
    sources = [each for each in others if not before.isdisjoint(each.outputs)]
    path = graph.forward_of(call.outputs, graph.passes_gradient) & needed
    ops = [op for op in graph.ops if not path.isdisjoint(op.reads) and not path.isdisjoint(op.makes)]
    between = [op for op in graph.ops if not along.isdisjoint(op.makes)]
    root = graph.maker(backward.roots[0]) if backward.roots else None
    later = [each for each in graph.calls if each.index > call.index and any(v in path for _, v in each.inputs)]
    origin = graph.backward_of(value for each in sources for _, value in each.inputs)
    return Push(
        step=graph.step,
        network=call.model,
        line=backward.line,
        loss=root.caller or root.line if root else None,
        update=update,
        parameters=parameters,
        over=frozenset(each.model for each in sources),
        along=frozenset(each.model for each in sources if each.model in moved and not along.isdisjoint(each.outputs)),
        linear=bool(path) and all(_linear(op, path) for op in ops),
        used=tuple((i, len(graph.values[v].shape)) for i, v in enumerate(call.outputs) if v in needed),
        scales=_scales(graph, path, ops, {each for each in moved if each != call.model}),
        sign=_sign(graph, [value for value in call.outputs if value in needed], even),
        target=_target(graph, call, path, targets),
        origin=_origin(graph, origin),
        fitted=any(bare(op.name) in REGRESSIONS for op in ops),
        through=tuple((each.model, _sign(graph, [v for v in each.outputs if v in needed], even)) for each in later),
        custom=any(op.outer for op in (*ops, *between)),
    )


def _target(graph: Graph, call: Call, path: frozenset[int], targets: Mapping[int, float | None]) -> float | None:
    others = [v for each in graph.calls if each.model == call.model and each.index != call.index for v in each.outputs]
    mixed = graph.forward_of(others, graph.passes_gradient)
    wanted = {targets[value] for value in path if value in targets}
    return wanted.pop() if len(wanted) == 1 and not any(v in mixed for v in path if v in targets) else None


def _origin(graph: Graph, values: frozenset[int]) -> frozenset[str]:
    inputs = [graph.values[each] for each in values if each in graph.values and graph.values[each].kind == "input"]
    data = {each.name for each in inputs if not (each.dtype.startswith("key") or _raw_key(each))}
    drawn = any(op.name.startswith(DRAWN) for op in graph.ops if not values.isdisjoint(op.makes))
    return frozenset(data | {"noise"} if drawn else data)


def _raw_key(value: Value) -> bool:
    """Whether it is a random key of two whole numbers, as JAX made them before it had a type for them."""
    return value.dtype == "uint32" and value.shape[-1:] == (2,) and not value.name


def _linear(op: Op, path: frozenset[int]) -> bool:
    name = bare(op.name)
    if name in LINEAR:
        return True
    return name in PRODUCTS and len([read for read in op.reads if read in path]) == 1 and (
        "mul" in name or op.reads[0] in path
    )  # fmt: skip


def _scales(graph: Graph, path: frozenset[int], ops: list[Op], moved: set[str]) -> frozenset[str]:
    """The networks whose log-probabilities multiply values of the path, with only linear operations around."""
    found: set[str] = set()
    for op in ops:
        rest = [read for read in op.reads if read not in path]
        if bare(op.name) not in PRODUCTS or "mul" not in op.name or not rest or not _linear(op, path):
            continue
        after = graph.forward_of(op.makes, graph.passes_gradient) & path
        before = graph.backward_of([read for read in op.reads if read in path], graph.passes_gradient) & path
        straight = [each for each in ops if not after.isdisjoint(each.reads) or not before.isdisjoint(each.makes)]
        if all(_linear(each, path) for each in straight):
            scale = graph.backward_of(rest, graph.passes_gradient)
            if any(bare(each.name) in LOGARITHMS for each in graph.ops if not scale.isdisjoint(each.makes)):
                found |= {c.model for c in graph.calls if c.model in moved and not scale.isdisjoint(c.outputs)}
    return frozenset(found)


def _sign(graph: Graph, outputs: list[int], even: float) -> int | None:
    signs: set[int | None] = set()
    for value in (graph.values[each] for each in outputs if each in graph.values):
        if value.gradient and value.gradient_mean and abs(value.gradient_mean) >= even * value.gradient:
            signs.add(1 if value.gradient_mean > 0 else -1)
        else:
            signs.add(None)
    return signs.pop() if len(signs) == 1 else None
