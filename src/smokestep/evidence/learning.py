"""Learning: the training's own step repeated on one small batch, once as it is and once with its inputs wiped out.

Only a loss that is known to reach 0 there is judged: recognised, alone, on targets that the batch holds. What else a
loss may be (a penalty, a bound, a likelihood, a game of two networks) has a floor that nobody knows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.losses import LossCall, Losses
from smokestep.evidence.samples import Samples
from smokestep.evidence.steps import Steps
from smokestep.evidence.trials import Edit, Put, Stepped, Take, Tensor
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

STEPS = 150  # at a usual learning rate the loss of a few samples is then a fraction of what it was
SECONDS = 20.0  # wall time for one course; longer leaves the verdict open
SAMPLES = 8
ROOM = 4  # weights for every number to be memorised; a linear map through n points needs n, a network learns with more
DONE = 0.05  # of its first value: a course that has come there has learned
REGRESSION = frozenset("mse_loss l1_loss smooth_l1_loss huber_loss".split())
BINARY = frozenset("binary_cross_entropy binary_cross_entropy_with_logits".split())


@dataclass(frozen=True, slots=True)
class Course:
    """The losses of the repeated step, in order. `moved`: how far the weights came, as a share of their norm; `late`:
    time ran out; `error`: what the step raised."""

    losses: tuple[float, ...]
    moved: float = 0.0
    late: bool = False
    error: str = ""

    @property
    def first(self) -> float:
        """The loss before the first update."""
        return self.losses[0]

    @property
    def last(self) -> float:
        """The loss at the end: the mean of the last tenth."""
        return _mean(self.losses[-max(1, len(self.losses) // 10) :])

    def falling(self, share: float) -> bool:
        """The loss of the last quarter is less than that of the one before by more than this share of it."""
        quarter = max(1, len(self.losses) // 4)
        before, now = self.losses[-2 * quarter : -quarter], self.losses[-quarter:]
        return not before or _mean(now) < (1 - share) * _mean(before)


@dataclass(frozen=True, slots=True)
class Learning:
    """The course of the training on a few samples. `why` is the reason where there is none, all else is then empty.

    `samples`: how many were picked, 0 for the whole batch. `scheduled`: the step changes the learning rate. `crowded`:
    why there may be too much to learn.
    `loss`, `line`: the recognised loss and where it is computed.
    """

    experiment: ClassVar[str] = "the step repeated on a few samples"
    why: str = ""
    samples: int = 0
    course: Course = Course((0.0,))
    scheduled: bool = False
    crowded: str = ""
    loss: str = ""
    line: Line | None = None
    edits: tuple[Edit, ...] = ()

    @classmethod
    def gather(cls, world: World, of: Of) -> Learning:
        """By up to STEPS steps on a training of its own."""
        from smokestep.world import NotOffered

        steps, flow, losses, declared = of(Steps), of(Flow), of(Losses), of(Declared)
        if len(set(declared.order)) > 1:
            return cls("there are several steps, whose losses play together")
        reached = {
            frozenset(m.parameter for m in steps.movements if m.step == s and m.received is not None)
            for s in range(steps.count)
        }
        if len(reached) > 1:
            return cls("its steps do not all train the same parameters")
        graph = flow.graphs[-1]
        calls = [c for c in losses.calls if c.step == graph.step and c.grad and c.reaches_root]
        held = _held(flow)
        if why := no_floor(graph, calls, held):
            return cls(why)
        try:
            lab = world.lab()
            batch = lab.batch()
            if not batch and not held:
                return cls("the step takes no batch that could be held fixed")
            whole, seen = lab.dry(), _seen(losses, steps.count)
            if not whole.error and not whole.drew and _lost(whole.losses) and seen and not _lost(seen):
                # The recorded steps on this batch were enough.
                return cls(course=Course((*seen, math.nan)), loss=calls[0].name, line=calls[0].user_line)
            weights = sum(each.size for each in steps.parameters if each.requires_grad and each.optimizers)
            numbers = sum(math.prod(call.target.shape) for call in calls if call.target)
            edits, count, why = _few(lab, whole, batch, of(Samples), declared, numbers, weights)
            if why:
                return cls(why)
            course = _course(lab, edits, STEPS)
        except NotOffered as reason:
            return cls(str(reason))
        return cls(
            samples=count,
            course=course,
            scheduled=bool(steps.of("scheduler")),
            crowded=_crowded(calls, count, numbers, weights, bool(held)),
            loss=calls[0].name,
            line=calls[0].user_line,
            edits=tuple(edits),
        )


@dataclass(frozen=True, slots=True)
class Blind:
    """The same course with every input of the model wiped out: numbers put to 0, tokens to one and the same.

    `why` is the reason where there is none. `wiped`: the names of the tensors that were.
    """

    experiment: ClassVar[str] = "the step repeated on inputs without content"
    why: str = ""
    wiped: tuple[str, ...] = ()
    course: Course = Course((0.0,))

    @classmethod
    def gather(cls, world: World, of: Of) -> Blind:
        """By as many steps as the course with the inputs took."""
        learning, graph, losses = of(Learning), of(Flow).graphs[-1], of(Losses)
        if learning.why:
            return cls(learning.why)
        calls = [c for c in losses.calls if c.step == graph.step and c.grad and c.reaches_root]
        targets = graph.backward_of(c.target.value for c in calls if c.target)
        ends = graph.forward_of(c.result for c in calls)  # a loss may be a model of its own, and be handed the targets
        models = [call for call in graph.calls if ends.isdisjoint(call.outputs)]
        inputs = graph.backward_of(value for call in models for _, value in call.inputs)
        read = {graph.values[each].name for each in inputs if graph.values[each].name.startswith("batch")}
        if read & {graph.values[each].name for each in targets if graph.values[each].name}:
            return cls("the targets are computed from the input")
        lab = world.lab()
        wipes = [wipe for each in lab.batch() if each.name in read and (wipe := _wiped(each))]
        if not wipes:
            return cls("no tensor of the batch that reaches the model could be wiped out")
        course = _course(lab, [*learning.edits, *wipes], len(learning.course.losses), stop=False)
        return cls(wiped=tuple(each.argument for each in wipes), course=course)


def no_floor(graph: Graph, calls: Sequence[LossCall], held: frozenset[int] = frozenset()) -> str:
    """Why the loss of this step is not known to reach 0 on samples that are learned by heart, "" if it is.

    `held`: what every step takes as it is, though it is handed no batch."""
    if len({each.line for each in graph.backwards}) > 1:
        return "backward is called on several losses"
    if not calls:
        return "its loss is none of those that are known to reach 0"
    for call in calls:
        if call.sign != 1 or call.loss is None:
            return f"`{call.name}` enters the loss in a way that hides its floor"
        if call.label_smoothing or call.target is None or not _hard(call):
            return f"the least value of this `{call.name}` is not known to be 0"
        origins = [graph.values[each] for each in graph.backward_of([call.target.value]) if each in graph.values]
        if any(each.kind in ("parameter", "unknown", "carried", "leaf") for each in origins):
            return "its targets are computed by a network"
        if call.target.value not in held and not any(each.name.startswith("batch") for each in origins):
            return "its targets are no part of the batch"
    results = {call.result for call in calls}
    beside = graph.backward_of(graph.roots, lambda op: results.isdisjoint(op.makes))
    if any(graph.values[each].kind in ("parameter", "leaf", "unknown") for each in beside if each in graph.values):
        return "the loss has a further term, whose least value is not known"
    return ""


def _crowded(calls: Sequence[LossCall], count: int, numbers: int, weights: int, held: bool) -> str:
    """Why there may be too much to learn by heart, "" if there is not."""
    if not count and weights < ROOM * numbers:
        return f"{weights} weights may be too few to learn {numbers} numbers by heart"
    samples = max((call.target.shape[0] for call in calls if call.target and call.target.shape), default=1)
    if held and samples > SAMPLES:
        return f"the step holds {samples} samples, of which a few could not be picked"
    return ""


def _held(flow: Flow) -> frozenset[int]:
    """The data of a step that is handed none, and gives its models the same tensors each time as they are."""
    data = [frozenset(each.id for each in graph.values.values() if each.kind == "input") for graph in flow.graphs]
    named = any(graph.values[each].name for graph, some in zip(flow.graphs, data, strict=True) for each in some)
    if named or len(data) < 2 or len(set(data)) > 1:
        return frozenset()
    for graph in flow.graphs:
        answers = [value for call in graph.calls for value in call.outputs]
        known = data[0] | set(answers) | set(graph.forward_of(answers))
        if not answers or any(value not in known for call in graph.calls for _, value in call.inputs):
            return frozenset()
    return data[0]


def _hard(call: LossCall) -> bool:
    target = call.target
    if target is None:
        return False
    if call.name == "cross_entropy" or call.name == "nll_loss":
        known = call.name == "cross_entropy" or call.prediction.maker in ("log_softmax", "logsigmoid")
        return known and target.dtype.startswith(("int", "uint"))
    if call.name in BINARY:
        return target.integral is True and (target.low or 0) >= 0 and (target.high or 0) <= 1
    return call.name in REGRESSION


def _few(
    lab: Lab,
    whole: Stepped,
    batch: Sequence[Tensor],
    samples: Samples,
    declared: Declared,
    numbers: int,
    weights: int,
) -> tuple[list[Edit], int, str]:
    """The edits that pick a few samples of the batch, how many, and the reason why the step cannot be repeated."""
    if whole.error or not whole.losses or _lost(whole.losses):
        return [], 0, f"the step could not be made again: {whole.error or 'it called backward on no finite number'}"
    if whole.drew:
        return [], 0, "the step draws random numbers, so that its loss may have a floor"
    ranked, dim = [each for each in batch if each.shape], declared.batch_dim or 0
    sizes = {each.shape[dim] if len(each.shape) > dim else 0 for each in ranked} if dim >= 0 else set()
    if len(sizes) == 1 and not any(each.why for each in samples.batches):
        (size,) = sizes
        count = min(SAMPLES, size, int(weights * size / (ROOM * max(numbers, 1))))
        if 2 <= count < size:
            edits: list[Edit] = [Take(tuple(each.name for each in ranked), dim, tuple(range(count)))]
            picked = lab.dry(edits)
            if not picked.error and len(picked.losses) == len(whole.losses) and all(map(math.isfinite, picked.losses)):
                return edits, count, ""
    return [], 0, ""


def _seen(losses: Losses, steps: int) -> list[float]:
    """The loss of each recorded step; empty if that of one is not known."""
    own = [[c.loss for c in losses.calls if c.step == each and c.grad and c.reaches_root] for each in range(steps)]
    known = [[loss for loss in some if loss is not None] for some in own]
    return [_mean(each) for each in known] if all(known) else []


def _lost(losses: Sequence[float]) -> bool:
    """Whether there is a number among them that is not finite."""
    return not all(map(math.isfinite, losses))


def _course(lab: Lab, edits: Sequence[Edit], steps: int, *, stop: bool = True) -> Course:
    losses: list[float] = []
    error, late, started = "", False, time.perf_counter()
    with lab.fresh() as fresh:
        while len(losses) < steps and not error and not late:
            did = fresh.step(edits)
            error = did.error or ("" if did.losses else "it called backward on no number")
            if not error:
                losses.append(_mean(did.losses))
                if not math.isfinite(losses[-1]) or stop and max(losses[-3:]) <= DONE * losses[0]:
                    break
            late = time.perf_counter() - started > SECONDS and len(losses) < steps
        moved = fresh.travelled()
    return Course(tuple(losses) or (math.nan,), moved, late, error)


def _wiped(tensor: Tensor) -> Put | None:
    """What takes the content out of a tensor; a mask, or flags of 0 and 1, keep what they select."""
    if tensor.floating and (tensor.low != tensor.high or tensor.high):
        return Put(tensor.name, (), 0.0)
    if tensor.whole and tensor.high is not None and tensor.high > 1 and tensor.low != tensor.high:
        return Put(tensor.name, (), tensor.high)
    return None


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
