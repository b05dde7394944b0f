"""Relations: how the loss answers when labels, samples or the model's answer are exchanged, in dry runs of the step.

Only equality alarms where a draw of random numbers could make a difference, so that noise cannot. What a label is, is
read from the graph: it reaches a loss, and no model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Call, Flow, Graph, Op
from smokestep.evidence.losses import Losses
from smokestep.evidence.origins import TRANSPARENT, bare
from smokestep.evidence.trials import Edit, Other, Reply, Stepped, Take, Tensor, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

EQUAL = 1e-5  # of the loss: sums of some thousand single-precision numbers in another order differ by less
REDUCES = frozenset("mean sum nanmean nansum std var median amax amin max min norm quantile logsumexp".split())
PICKS = frozenset("__getitem__ narrow select".split())
LINEAR = frozenset(
    "add __add__ __radd__ __iadd__ sub subtract __sub__ __isub__ rsub __rsub__ neg __neg__ mean sum stack cat".split()
)


@dataclass(frozen=True, slots=True)
class Where:
    """An operation found in the graph: what it is called, and on which line."""

    op: str
    line: Line | None
    caller: Line | None

    @property
    def user_line(self) -> Line | None:
        """The user's line behind it."""
        return self.caller if self.line and self.line.installed and self.caller else self.line


@dataclass(frozen=True, slots=True)
class Related:
    """What was seen of one step of the training. `skipped` is the reason why nothing could be.

    `labels`: what was taken for labels, `count` rows each. `paired`: the loss changes when they are moved by a row.
    `unread`: the rows (first, last) whose input and label change nothing, whichever sample is there.
    `right`, `wrong`: for every form of a right answer, the loss when the model gives it, and when it gives it with the
    labels moved by a row.
    `reduced`, `linear`, `picked`: where all labels lose their rows before they meet the network; where they only enter
    as a summand; where a constant part of the rows is picked. `root`: what made the loss.
    """

    step: str
    skipped: str = ""
    labels: tuple[str, ...] = ()
    count: int = 0
    loss: float = 0.0
    paired: bool = True
    unread: tuple[int, ...] = ()
    right: tuple[float, ...] = ()
    wrong: tuple[float, ...] = ()
    reduced: Where | None = None
    linear: Where | None = None
    picked: Where | None = None
    root: Where | None = None


@dataclass(frozen=True, slots=True)
class Relations:
    """What was seen of every step; `why` is the reason where no step can be run again."""

    experiment: ClassVar[str] = (
        "the labels moved by a row, the first and the last sample exchanged, right answers given"
    )
    steps: tuple[Related, ...] = ()
    why: str = ""

    @classmethod
    def gather(cls, world: World, of: Of) -> Relations:
        """By four dry runs of each step, and a few more where they say nothing."""
        from smokestep.world import NotOffered

        declared, flow, losses = of(Declared), of(Flow), of(Losses)
        try:
            lab = world.lab()
            batch, trials = lab.batch(), of(Trials).trials
        except NotOffered as error:
            return cls(why=str(error))
        if not batch:
            return cls(why="the step takes no batch that could be varied")
        if declared.batch_dim == -1:
            return cls(why="no dimension counts samples, as declared")
        found = []
        for name in dict.fromkeys(declared.order):
            graph = [g for g, order in zip(flow.graphs, declared.order, strict=False) if order == name][-1]
            here = tuple(each for each in trials if each.step == graph.step)
            found.append(_related(lab, name, graph, losses, batch, here, declared.batch_dim or 0))
        return cls(tuple(found))


def _related(
    lab: Lab, step: str, graph: Graph, losses: Losses, batch: Sequence[Tensor], trials: Sequence[Trial], dim: int
) -> Related:
    labels = _labels(graph, losses, batch, dim)
    if not labels:
        return Related(step, skipped="no element of the batch reaches a loss, but no model")
    count = labels[0].shape[dim]
    labels = tuple(each for each in labels if each.shape[dim] == count)
    names = tuple(each.name for each in labels)
    if count < 2:
        return Related(step, skipped="the batch holds one sample")
    calls = _models(graph)
    if not calls:
        return Related(step, skipped="no model was called")
    base = lab.dry(step=step)
    if base.error or not base.losses:
        return Related(step, skipped=f"without backward the step raised {base.error}" if base.error else "no loss")
    rows = [each for each in batch if len(each.shape) > dim and each.shape[dim] == count]

    def nudged(tensors: Sequence[Tensor], row: int) -> list[Edit]:
        return [Other(each.name, ((dim, (row,)),)) for each in tensors if each.floating or each.whole]

    def moved(by: int, tensors: Sequence[str]) -> Edit:
        return Take(tuple(tensors), dim, tuple((index + by) % count for index in range(count)))

    def same(first: Stepped, edits: Sequence[Edit]) -> bool:
        return _equal(first, lab.dry(edits, step=step))

    paired = not same(base, [moved(1, names)])
    if not paired:  # these labels may be alike: make one of them different
        one = nudged(labels, 0)
        other = lab.dry(one, step=step)
        paired = _equal(base, other) or not all(same(other, [*one, moved(by, names)]) for by in (1, count - 1))
    picked = next(_picking(graph, labels, dim, count), None)
    unread = []
    for row in (0, count - 1):
        everything = [each.name for each in rows]
        # To the bit: what is not read cannot round differently, and a small term that reads it must not pass unseen.
        if picked and base == lab.dry(nudged(rows, row), step=step):
            again = [moved(1, everything)]
            if lab.dry(again, step=step) == lab.dry([*again, *nudged(rows, row)], step=step):
                unread.append(row)
    maker = graph.maker(graph.backwards[-1].roots[0]) if graph.backwards and graph.backwards[-1].roots else None
    trials = [each for each in trials if {o.value for o in each.outputs} & {v for call in calls for v in call.outputs}]
    known = any(each.step == graph.step and each.reaches_root for each in losses.calls)
    right, wrong = ((), ()) if known or len(calls) != 1 else _answered(lab, step, labels, trials, moved(1, names))
    return Related(
        step,
        labels=names,
        count=count,
        loss=base.losses[-1],
        paired=paired,
        unread=tuple(unread) if len(unread) < 2 else (),
        right=right,
        wrong=wrong,
        reduced=None if paired else _reduced(graph, labels, dim, count),
        linear=None if paired else _linear(graph, labels),
        picked=_where(picked) if picked else None,
        root=_where(maker) if maker else None,
    )


def _equal(one: Stepped, other: Stepped) -> bool:
    if other.error or len(one.losses) != len(other.losses):
        return False
    return all(abs(a - b) <= EQUAL * max(abs(a), abs(b)) for a, b in zip(one.losses, other.losses, strict=True))


def _where(op: Op) -> Where:
    return Where(bare(op.name), op.line, op.caller)


def _of(graph: Graph, labels: Sequence[Tensor]) -> list[int]:
    names = {each.name for each in labels}
    return [value.id for value in graph.values.values() if value.kind == "input" and value.name in names]


def _models(graph: Graph) -> tuple[Call, ...]:
    """The calls of models, without those of modules that make a single number of another's answer: losses."""
    answered: frozenset[int] = frozenset()
    found = []
    for call in graph.calls:
        takes = any(value in answered for _, value in call.inputs)
        if not (takes and all(not graph.values[each].shape for each in call.outputs if each in graph.values)):
            answered |= graph.forward_of(call.outputs)
            found.append(call)
    return tuple(found)


def _labels(graph: Graph, losses: Losses, batch: Sequence[Tensor], dim: int) -> tuple[Tensor, ...]:
    """The tensors of the batch that reach a loss and no model; or a recognised loss as its target alone."""
    reaching = graph.backward_of(graph.roots)
    given = {value for call in _models(graph) for _, value in call.inputs}
    calls = [each for each in losses.calls if each.step == graph.step and each.reaches_root]
    targets = {each.target.value for each in calls if each.target}
    predictions = {each.prediction.value for each in calls}
    found = []
    for each in batch:
        values = [value for value in _of(graph, [each]) if value in reaching]
        if not values or len(each.shape) <= dim or not (each.floating or each.whole):
            continue
        ahead = graph.forward_of(values)
        as_target = not ahead.isdisjoint(targets) and ahead.isdisjoint(predictions)
        if ahead.isdisjoint(given) or as_target:
            found.append(each)
    return tuple(found)


# ── why it is so ───────────────────────────────────────────────────────────────────────────────────────────────────
def _reduced(graph: Graph, labels: Sequence[Tensor], dim: int, count: int) -> Where | None:
    """Where labels lose their rows before they meet the network, if no way to a loss leads past such a place."""
    computed = graph.forward_of(value for call in graph.calls for value in call.outputs)
    mine = graph.forward_of(_of(graph, labels))
    at: list[Op] = []
    for op in graph.ops:
        made = [graph.values[each] for each in op.makes if each in graph.values]
        alone = bare(op.name) in REDUCES and computed.isdisjoint(op.reads) and not mine.isdisjoint(op.reads)
        if alone and made and all(len(each.shape) <= dim or each.shape[dim] != count for each in made):
            at.append(op)
    ids = {op.id for op in at}
    around = graph.forward_of(_of(graph, labels), through=lambda op: op.id not in ids)
    return _where(at[0]) if at and around.isdisjoint(graph.roots) else None


def _linear(graph: Graph, labels: Sequence[Tensor]) -> Where | None:
    """Where labels meet the network, if on every way to a loss they are only added, subtracted, scaled and averaged."""
    needed = graph.backward_of(graph.roots)
    mine = graph.forward_of(_of(graph, labels)) & needed
    meeting: Op | None = None
    for op in graph.ops:
        if mine.isdisjoint(op.reads) or needed.isdisjoint(op.makes):
            continue
        name = bare(op.name)
        scaled = name in ("mul", "__mul__", "__rmul__", "div", "__truediv__") and len(op.reads) == 1
        if name not in LINEAR and name not in TRANSPARENT and not scaled:
            return None
        if len(op.reads) > 1 and graph.passes_gradient(op):
            meeting = meeting or op
    return _where(meeting) if meeting else None


def _picking(graph: Graph, labels: Sequence[Tensor], dim: int, count: int) -> Iterator[Op]:
    """Where a part of the rows of a label is picked by constant indices, on the way to a loss."""
    needed, readers = graph.backward_of(graph.roots), graph.readers()
    mine = graph.forward_of(_of(graph, labels), through=lambda op: bare(op.name) in TRANSPARENT)
    picks = [op for op in graph.ops if bare(op.name) in PICKS and len(op.reads) == 1 and op.reads[0] in mine]
    if any(needed.isdisjoint(op.makes) and any(made in readers for made in op.makes) for op in picks):
        return  # other rows are read without a gradient: they are held out for an evaluation
    for op in picks:
        if needed.isdisjoint(op.makes):
            continue
        before = graph.values[op.reads[0]].shape
        after = graph.values[op.makes[0]].shape if op.makes[0] in graph.values else ()
        if len(before) > dim and before[dim] == count and math.prod(after) < math.prod(before):
            if len(after) <= dim or after[dim] != count:
                yield op


# ── right answers ──────────────────────────────────────────────────────────────────────────────────────────────────
def _answered(
    lab: Lab, step: str, labels: Sequence[Tensor], trials: Sequence[Trial], moved: Edit
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The loss under a right answer, to these labels and to moved ones, where one model answers with one tensor."""
    if len(trials) != 1 or len(trials[0].outputs) != 1:
        return (), ()
    label = [(each, form) for each in labels if (form := _forms(lab, trials[0], each))]
    if len(label) != 1 or any(_weighs(each) for each in labels if each != label[0][0]):
        return (), ()
    right: list[float] = []
    wrong: list[float] = []
    for reply in label[0][1]:
        one, other = lab.dry(step=step, reply=reply), lab.dry([moved], step=step, reply=reply)
        if one.error or other.error or not len(one.losses) == len(other.losses) == 1:
            return (), ()
        right += one.losses
        wrong += other.losses
    return tuple(right), tuple(wrong)


def _weighs(label: Tensor) -> bool:
    """Whether it may say that an answer is a bad one: an advantage, a reward, a cost. A mask of 0 and 1 does not."""
    return label.floating and not (label.low == 0 and label.high == 1)


def _forms(lab: Lab, trial: Trial, label: Tensor) -> tuple[Reply, ...]:
    """The forms that a right answer to this label can have, by the shapes and by what the model answers now."""
    shape = trial.outputs[0].shape
    if not trial.outputs[0].floating or label.low is None or label.high is None or label.low == label.high:
        return ()
    alike = tuple(size for size in shape if size != 1) == tuple(size for size in label.shape if size != 1)
    if alike and not (label.low == 0 and label.high == 1):
        return (Reply(trial.index, label.name, "same"),) if label.floating else ()
    dims = [d for d in {1 % max(len(shape), 1), len(shape) - 1} if shape and shape[:d] + shape[d + 1 :] == label.shape]
    dim = None if alike else dims[0] if len(dims) == 1 and label.whole and 0 <= label.low else -1
    if dim == -1 or (dim is not None and (shape[dim] < 2 or label.high >= shape[dim])):
        return ()
    now = lab.run(trial.index)
    if now.error or len(now.outputs) != 1 or now.outputs[0].low is None or now.outputs[0].high is None:
        return ()
    if 0 <= now.outputs[0].low:  # probabilities; numbers that are never negative and exceed 1 may be distances
        return (Reply(trial.index, label.name, "shares", dim),) if now.outputs[0].high <= 1 else ()
    scores = Reply(trial.index, label.name, "scores", dim)
    return (scores, Reply(trial.index, label.name, "same")) if dim is None else (scores,)
