"""Repeat: whether two equal calls of a model in evaluation mode give the same, and what it is that does not.

Where they differ, the random draw is looked up in the recorded graph: noise and masks are told from sampling on purpose
by what is done with the numbers drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.samples import Samples
from smokestep.evidence.trials import Edit, Take, Touch, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

Use = Literal["attention", "mask", "noise", "other"]

PICKED = 3  # samples
SEEDS = 12  # tried at most: a mask that drops one row in ten leaves three rows alone in most of them
GAUSSIAN = frozenset("randn randn_like normal normal_".split())
UNIFORM = frozenset("rand rand_like uniform uniform_".split())
BINARY = frozenset("bernoulli bernoulli_".split())
SCALES = frozenset("mul mul_ div div_ __rmul__ __imul__ __itruediv__ true_divide neg multiply".split())
ADDS = frozenset("add add_ __radd__ __iadd__ sub sub_ __isub__ __rsub__".split())
COMPARES = frozenset("lt gt le ge __lt__ __gt__ __le__ __ge__ floor floor_ less greater bernoulli".split())
FORMS = frozenset(
    "to type type_as float half bool int view reshape unsqueeze squeeze expand expand_as logical_not __invert__ "
    "bitwise_not broadcast_to contiguous detach".split()
)
# what a caller hands over to be written into
STATES = frozenset(
    "cache caches past state states hidden h memory mem mems buffer out output outputs carry kv cached".split()
)
VIEWS = frozenset(
    "view reshape view_as __getitem__ transpose permute t T mT squeeze unsqueeze flatten unflatten detach data chunk "
    "split unbind narrow select diagonal expand movedim swapaxes contiguous to float".split()
)  # what may hand on the same memory; that it did is known from the call itself


@dataclass(frozen=True, slots=True)
class Draw:
    """One operation that drew random numbers. `use`: what is done with them: a mask or noise on what the model
    computes, dropout inside attention, or anything else (samples, targets, indices: on purpose, as far as one knows).
    """

    name: str
    use: Use
    line: Line | None = None
    module: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """An argument that a call writes into: by which operation, and the line that reads it after the call, if one does.

    `given`: it is data that the step was given, not something made in the step for this call.
    """

    argument: str
    name: str
    line: Line | None
    again: Line | None
    given: bool


@dataclass(frozen=True, slots=True)
class Repeated:
    """What was seen of one model. `skipped` is the reason why nothing could be, all else is then empty.

    `apart`: by which part of its scale an output differs between two calls that only draw other random numbers.
    `averages`: tensors that evaluation moves as a running average, with the line that does. `writes`: its arguments
    that it writes into.
    """

    model: str
    line: Line | None = None
    installed: bool = False
    skipped: str = ""
    apart: float = 0.0
    draws: tuple[Draw, ...] = ()
    averages: tuple[tuple[str, Line | None], ...] = ()
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeats:
    """What was seen of every model, in order of their first call."""

    experiment: ClassVar[str] = "two equal calls in evaluation mode, compared"
    models: tuple[Repeated, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Repeats:
        """By two calls of each model; by some more where they differ or leave something changed."""
        lab, samples, flow = world.lab(), of(Samples), of(Flow)
        found = []
        for trial in of(Trials).of_models():
            batch = samples.of(trial)
            few = not batch.why and batch.separable
            picked = [Take(batch.arguments, batch.dim, tuple(range(min(batch.count, PICKED))))] if few else []
            found.append(_repeated(lab, trial, picked, flow.graphs[trial.step]))
        return cls(tuple(found))


def _repeated(lab: Lab, trial: Trial, edits: Sequence[Edit], graph: Graph) -> Repeated:
    line = trial.definition or trial.line
    first = lab.run(trial.index, edits)
    if first.error and edits:  # it may want the number of samples that it had
        edits, first = [], lab.run(trial.index)
    if first.error:
        why = f"its call could not be repeated in evaluation mode: {first.error}"
        return Repeated(trial.model, line, trial.installed, skipped=why)
    apart, draws = 0.0, tuple[Draw, ...]()
    for seed in range(1, SEEDS) if first.drew else ():
        other = lab.run(trial.index, edits, seed=seed)
        pairs = [each for each in lab.differences(first, other) if each and each.beyond(0)]
        apart = max((max(each.largest) / (each.scale or 1.0) for each in pairs), default=0.0)
        if apart:
            draws = tuple(_drawn(lab.trail(trial.index, edits, edits, seeds=(0, seed)), graph))
            break
    moved = lab.averages(trial.index, edits) if first.kept else ()
    averages = tuple((name, _writing(graph, name)) for name in moved)
    writes = tuple(each for name in first.wrote for each in _written(trial, name, graph))
    return Repeated(trial.model, line, trial.installed, "", apart, draws, averages, writes)


def _drawn(touches: Sequence[Touch], graph: Graph) -> list[Draw]:
    found: dict[tuple[str, Line | None], Draw] = {}
    for touch in touches:
        attention = touch.name == "scaled_dot_product_attention"
        if touch.name not in GAUSSIAN | UNIFORM | BINARY and not attention:
            continue
        if attention and any(each.touched for each in touch.reads):
            continue  # it only hands on what another draw made different
        op = next((op for op in graph.ops if op.name == touch.name and op.line == touch.line), None)
        use: Use = "attention" if attention else use_of(op, graph) if op is not None else "other"
        found.setdefault((touch.name, touch.line), Draw(touch.name, use, touch.caller, op.module if op else ""))
    return list(found.values())


def use_of(op: Op, graph: Graph) -> Use:
    """What is done with the numbers that an operation draws."""
    computed = {each.id for each in graph.values.values() if each.kind in ("made", "input")}
    binary, gaussian, scaled, now = op.name in BINARY, op.name in GAUSSIAN, False, op
    if binary and not op.inplace and any(_learned(value, graph) for value in op.reads):
        return "other"  # the probabilities are the model's own: samples
    for _ in range(12):
        values = now.makes
        after = [each for value in values for each in graph.readers().get(value, ())]
        if len(after) != 1:
            return "other"
        (now,) = after
        others = [value for value in now.reads if value not in values]
        if not others and now.name in SCALES | FORMS | ADDS:
            binary, scaled = binary or now.name in ("bool", "int"), binary and (scaled or now.name in SCALES)
        elif not others and now.name in COMPARES:
            binary = True
        elif binary and now.name in SCALES and set(others) <= computed:
            return "mask" if scaled or _rescaled(now, others, graph) else "other"
        elif gaussian and now.name in ADDS and set(others) <= computed:
            return "noise"
        else:
            return "other"
    return "other"


def _rescaled(product: Op, others: Sequence[int], graph: Graph) -> bool:
    """Whether what is kept is scaled up by a number, before or after: dropout does so, a random update does not."""
    before = [graph.maker(value) for value in others]
    after = [each for value in product.makes for each in graph.readers().get(value, ())]
    return any(each is not None and each.name in SCALES and len(each.reads) == 1 for each in (*before, *after))


def _learned(value: int, graph: Graph) -> bool:
    maker = graph.maker(value)
    if maker is not None and (maker.name.endswith("_like") or maker.name.startswith(("new_", "full", "ones"))):
        return False  # only the shape was read
    return any(graph.values[each].kind == "parameter" for each in graph.backward_of([value]) if each in graph.values)


def _written(trial: Trial, name: str, graph: Graph) -> list[Write]:
    argument = trial.argument(name)
    if argument is None or argument.value is None or argument.value not in graph.values:
        return []
    if not STATES.isdisjoint(re.split(r"[^a-z]+", name.lower())):
        return []
    start = graph.values[argument.value]
    call = next((each for each in graph.calls if start.id in dict(each.inputs).values()), None)
    makers = [graph.maker(value) for value in call.outputs] if call else []
    end = max((op.id for op in makers if op is not None), default=0)
    same = graph.forward_of([start.id], through=lambda op: op.name in VIEWS and (not call or op.id > call.index))
    for op in graph.ops:
        if op.inplace and op.reads and op.reads[0] in same and call and call.index < op.id <= end:
            held = {*op.makes, *same}
            later = [each for each in graph.ops if each.id > end and each.line and not held.isdisjoint(each.reads)]
            again = next((each.caller for each in later if each.name != "alias"), None)
            return [Write(name, op.name, op.caller or op.line, again, graph.maker(start.id) is None)]
    return []


def _writing(graph: Graph, name: str) -> Line | None:
    """The line that writes a buffer in place, else the first that reads it."""
    values = {
        each.id for each in graph.values.values() if each.name == name or (name and each.name.endswith(f".{name}"))
    }
    reading = [op for op in graph.ops if not values.isdisjoint(op.reads)]
    writing = [op for op in reading if op.inplace and op.reads and op.reads[0] in values]
    return next((op.caller or op.line for op in (*writing, *reading)), None)
