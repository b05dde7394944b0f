"""PaddedLoss: whether the losses of a step change when padding that all its sequences share is cut off.

The step is run twice up to its losses, on the padded sequences alone: with the padding up to the longest of the whole
batch, and with the padding up to the longest among them. Nothing else differs between the two.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.declared import Declared
from smokestep.evidence.flow import Flow, Graph, Op
from smokestep.evidence.modes import Modes
from smokestep.evidence.padded import LOOKED, Padded, axes
from smokestep.evidence.padding import Cropped, Padding
from smokestep.evidence.trials import Edit, Take, Tensor, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

CLOSE = 1e3  # roundings by which two sums of other lengths may differ
CHOICES = ("cross_entropy", "nll_loss")
ROWS = 4  # sequences taken: enough for some lengths, few enough to cost little


@dataclass(frozen=True, slots=True)
class Shared:
    """What was seen for one padded input. `skipped` is the reason why nothing could be.

    `width`, `shorter`: the length of the sequences before and after. `before`, `after`: the loss that differs most, and
    `apart` whether it does. `op`, `line`: the operation that makes one number of all positions.
    """

    model: str
    skipped: str = ""
    width: int = 0
    shorter: int = 0
    before: float = 0.0
    after: float = 0.0
    apart: bool = False
    padded: Padded | None = None
    op: str = ""
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class PaddedLoss:
    """What was seen for every padded input."""

    experiment: ClassVar[str] = "the losses of the padded sequences, with less padding"
    inputs: tuple[Shared, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> PaddedLoss:
        """By two runs of the step for each input whose padding does not change what the model says."""
        lab = world.lab()
        seen = of(Padding).inputs
        why = _unready(lab, of(Modes)) if any(each.padded for each in seen) else ""
        return cls(tuple(_shared(lab, each, why, of) for each in seen))


def _unready(lab: Lab, modes: Modes) -> str:
    from smokestep.world import NotOffered  # the protocols of the world name the evidence

    try:
        if not lab.batch():
            return "the step takes no batch that could be varied"
    except NotOffered as error:
        return str(error)
    batched = [
        each.path
        for each in modes.layers
        if each.kind == "batch_norm" and any(run.training for run in modes.of(each.path))
    ]
    return f"the statistics of {batched[0]} are taken over the padding too" if batched else ""


def _shared(lab: Lab, seen: Cropped, why: str, of: Of) -> Shared:
    padded = seen.padded
    why = seen.skipped or why
    if not why and padded is not None:
        if padded.left:
            why = "its padding is at the front"
        elif seen.apart or seen.left:
            why = "its own output depends on the padding"
    if why or padded is None:
        return Shared(seen.model, why)
    rows = padded.shorter[:ROWS]
    shorter = max(padded.lengths[row] for row in rows)
    trial = of(Trials).trials[padded.trial]
    order, graph = of(Declared).order, of(Flow).graphs[trial.step]
    given = [each.value for each in trial.arguments if each.name in {content.name for content in padded.contents}]
    origins = graph.backward_of(each for each in given if each is not None)
    cut_from = {graph.values[each].name for each in origins if each in graph.values}
    picked, cutting, why = _edits(lab, padded, rows if len(rows) > 1 else rows * 2, shorter, cut_from)
    if why:
        return Shared(seen.model, why)
    name = order[trial.step] if trial.step < len(order) else ""
    op = _reduction(graph, [each.value for each in trial.outputs if each.value is not None], padded)
    if op is None:
        return Shared(seen.model, "no loss is taken over its positions")
    whole, short = lab.dry(picked, step=name), lab.dry([*picked, *cutting], step=name)
    if whole.error or short.error:
        return Shared(seen.model, f"the step on its padded sequences alone raised {whole.error or short.error}")
    if whole.drew:
        return Shared(seen.model, "the step draws random numbers")
    if not whole.losses or len(whole.losses) != len(short.losses):
        return Shared(seen.model, "the step made no loss that could be compared")
    before, after = max(zip(whole.losses, short.losses, strict=True), key=lambda pair: abs(pair[0] - pair[1]))
    limit = CLOSE * max(seen.eps, 2.0**-23) * max(abs(before), abs(after))
    line = op.caller or op.line
    apart = not abs(before - after) <= limit
    return Shared(seen.model, "", padded.width, shorter, before, after, apart, padded, op.name, line)


def _edits(
    lab: Lab, padded: Padded, rows: Sequence[int], shorter: int, cut_from: Collection[str]
) -> tuple[list[Edit], list[Edit], str]:
    """The edits that take some rows of the batch, those that then cut off what they all pad, and a reason why not.

    `cut_from`: what the padded sequences were made of; another tensor may have their length by chance.
    """
    batch = lab.batch()
    own = [each for each in batch if each.name in cut_from] or batch
    more = 0 if any(_long(each, padded, 0) for each in own) else 1  # it is told from its next token: one more
    if not any(_long(each, padded, more) for each in batch):
        return [], [], "its sequences are made in the step: those of the batch have another length"
    picked: list[Edit] = []
    cutting: list[Edit] = []
    for each in batch:
        at, steps = axes(each.shape, padded.count, padded.width + more)
        if at is None and padded.count in each.shape:
            return [], [], f"some rows cannot be picked from `{each.name}`, of shape {each.shape}"
        if each.floating and len(steps) > 1:
            return [], [], f"it is not clear which dimension of `{each.name}`, of shape {each.shape}, counts positions"
        if at is not None:
            picked.append(Take((each.name,), at, tuple(rows)))
        for dim in steps if at is not None or not each.floating else ():
            if at is not None and not _alike(lab, each, at, dim, rows, range(shorter + more, padded.width + more)):
                return [], [], f"`{each.name}` holds different entries where its sequences are padded"
            cutting.append(Take((each.name,), dim, tuple(range(shorter + more))))
    return picked, cutting, ""


def _long(each: Tensor, padded: Padded, more: int) -> bool:
    rows, steps = axes(each.shape, padded.count, padded.width + more)
    return rows is not None and bool(steps)


def _alike(lab: Lab, each: Tensor, at: int, dim: int, rows: Sequence[int], positions: Sequence[int]) -> bool:
    """Whether one value stands at all positions that are to be cut off: padding, or what is ignored there."""
    edits: list[Edit] = [
        Take((each.name,), at, tuple(rows)),
        Take((each.name,), dim, tuple(positions)[: LOOKED // 4 if each.floating else None]),
    ]
    return len(set(lab.entries(each.name, edits))) == 1


def _reduction(graph: Graph, outputs: Sequence[int], padded: Padded) -> Op | None:
    """The first operation on the way to a loss that makes one number of as many as there are positions."""
    needed, reached = graph.backward_of(graph.roots), graph.forward_of(outputs)
    least = padded.count * (padded.width - 1)
    for op in graph.ops:
        sizes = [math.prod(graph.values[read].shape) for read in op.reads if read in reached and read in graph.values]
        made = [each for each in op.makes if each in needed and each in graph.values]
        shapes = [graph.values[read].shape for read in op.reads if read in graph.values]
        if op.name in CHOICES and shapes and shapes[0] == (padded.count, padded.width):
            return None  # it chooses one of the positions
        if made and all(math.prod(graph.values[each].shape) == 1 for each in made) and max(sizes, default=0) >= least:
            return op
    return None
