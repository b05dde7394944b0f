"""Alignment: finds the losses whose target is an argument of the model shifted in time, and where their rows were made.

Entries must be equal, all that count, for one shift only; rows are known again by their first scores, so that it does
not matter how a prediction was cut, turned or flattened on its way to the loss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.overrides import TorchFunctionMode

from smokestep.backends.shifted import Fit, Layout, in_time, layouts, shifted
from smokestep.backends.torch import frames
from smokestep.backends.torch.lab.answers import WIDTH, Answer, Returned, rows
from smokestep.backends.torch.lab.compare import difference
from smokestep.backends.torch.losses import RECOGNISED, operands
from smokestep.backends.torch.meters import measurable
from smokestep.backends.torch.quiet import unreal
from smokestep.backends.torch.vocabulary import bare_name
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.trials import Difference

Tensor = torch.Tensor
Found: TypeAlias = dict[Any, list[tuple[Tensor, tuple[Tensor, ...]]]]
CUT = 64  # positions by which a prediction may be shorter than what the model made
HEADS = frozenset("linear matmul __matmul__ mm bmm addmm baddbmm einsum conv1d mul".split())


class Overheard(TorchFunctionMode):
    """Keeps the predictions that recognised losses are given, by name and line, each with the products before it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Found = {}
        self._last: deque[Tensor] = deque(maxlen=4)  # scores may be scaled, capped or cast after they are made

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = "" if unreal() else bare_name(func)
        if name in RECOGNISED and (pair := operands(name, args, kwargs)) is not None:
            kept = self.found.setdefault((name, frames.trail()[0]), [])
            kept.append((pair[0].detach(), tuple(self._last)))
        result = func(*args, **kwargs)
        if name in HEADS and isinstance(result, Tensor) and result.is_floating_point() and result.dim() > 1:
            self._last.append(result.detach())
        return result


@dataclass(slots=True)
class Rows:
    """Where the rows of one alignment are found in an outcome: in what a loss inside was given, or in output `output`,
    whose classes are last unless `turned`."""

    answer: Answer
    layout: Layout
    start: int
    output: int | None = None
    turned: bool = False

    def of(self, outcome: Any, samples: int) -> Tensor | None:
        """The rows of one outcome, as (sample, position, feature)."""
        if self.output is None:
            given = inside(self.answer, outcome.handle["losses"])
            return None if given is None else in_time(_classes_last(self.answer, given[0]), self.layout, samples)
        made = outcome.handle["outputs"][self.output][1]
        return in_time(made.movedim(1, -1) if self.turned else made, self.layout, samples)


def inside(answer: Answer, found: Found) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """What the same loss was given in another run."""
    same = found.get((answer.seen.name, answer.line), [])
    return same[answer.nth] if answer.nth < len(same) else None


def _classes_last(answer: Answer, prediction: Tensor) -> Tensor:
    return rows(prediction, answer.seen.class_dim) if _classed(answer) else prediction


def _classed(answer: Answer) -> bool:
    return answer.seen.class_dim is not None and not answer.target.is_floating_point()


def fits(answer: Answer, argument: Tensor) -> list[Fit]:
    """How the target of a loss is this argument shifted; nothing if it is not, or in more than one way. Without a shift
    it does not show which dimension is time: it is then told for either."""
    target = answer.target
    if not measurable(argument) or argument.is_floating_point() != target.is_floating_point() or not argument.dim():
        return []
    if argument.dtype == torch.bool or argument.is_complex() or not argument.numel():
        return []
    counted = _counted(answer)
    return [] if counted is None else shifted(target, counted, argument.detach().to(target.device))


def _counted(answer: Answer) -> Tensor | None:
    """Which entries of the target count; None where that is not known."""
    counted = torch.ones_like(answer.target, dtype=torch.bool)
    if answer.seen.ignore_index is not None and not answer.target.is_floating_point():
        counted = answer.target != answer.seen.ignore_index
    if answer.weighed:
        return None if answer.counted is None else counted & answer.counted
    return counted


# ── where the rows were made ───────────────────────────────────────────────────────────────────────────────────────
def placed(rows: Tensor, counted: Tensor, made: Tensor) -> int | None:
    """At which position of what the model made the rows begin; None if they are not there, or in several places."""
    count, room = rows.shape[1], made.shape[1] - rows.shape[1]
    if made.shape[0] != rows.shape[0] or made.shape[2] != rows.shape[2] or not 0 <= room <= CUT:
        return None
    found = [start for start in range(room + 1) if _same(rows[counted], made[:, start : start + count][counted])]
    return found[0] if len(found) == 1 else None


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether scores are the same, or differ by one number a row, as they do after a logarithm of softmax."""
    eps = max(torch.finfo(each.dtype).eps for each in (one, other))
    first, second = one.double(), other.double()
    limit = 16 * eps * (1 + float(second.abs().max()))
    if bool(((first - second).abs() <= limit).all()):
        return True
    if one.shape[-1] < 2:
        return False
    return bool((((first - first[..., :1]) - (second - second[..., :1])).abs() <= 2 * limit).all())


def in_outputs(answer: Answer, found: Fit, outputs: Sequence[Returned | None]) -> tuple[Rows, int] | None:
    """Where the rows of a loss lie in what the model returned, and how many positions that has."""
    samples = found.series.shape[0]
    mine = in_time(answer.prediction, found.layout, samples)
    if mine is None:
        return None
    for index, each in enumerate(outputs):
        if each is None:
            continue
        views = each.narrow if _classed(answer) else [each.whole]
        for turned, view in enumerate(views):
            for layout in layouts(view.dim() - _classed(answer), samples) if view is not None else ():
                made = in_time(view, layout, samples)
                if made is not None and (start := placed(mine, found.counted, made)) is not None:
                    return Rows(answer, layout, start, index, bool(turned)), made.shape[1]
    return None


def in_call(answer: Answer, found: Fit, outcome: Any) -> tuple[Rows, int] | None:
    """The same for a loss inside the call: its rows are found in one of the products computed last before it."""
    samples, given = found.series.shape[0], inside(answer, outcome.handle["losses"])
    mine = None if given is None else in_time(_classes_last(answer, given[0]), found.layout, samples)
    if given is None or mine is None or mine.shape[:2] != found.counted.shape:
        return None
    classed, few = _classed(answer), WIDTH if _classed(answer) else None
    for head in reversed(given[1]):
        for view in [head] + ([head.movedim(1, -1)] if classed and head.dim() > 2 else []):
            for layout in layouts(view.dim() - classed, samples):
                made = in_time(view, layout, samples)
                if made is None or made.shape[2] != mine.shape[2]:
                    continue
                if (start := placed(mine[..., :few], found.counted, made[..., :few])) is not None:
                    return Rows(answer, found.layout, start), made.shape[1]
    return None


def told(answer: Answer, trial: int, argument: str, found: Fit, where: tuple[Rows, int]) -> Alignment:
    """One alignment as evidence."""
    length, count = found.series.shape[1], found.counted.shape[1]
    within = [j for j in range(count) if 0 <= j + found.offset < length]
    sample = int(found.counted[:, within].sum(1).argmax())
    return Alignment(
        trial=trial,
        result=answer.seen.result_value,
        argument=argument,
        time=found.time,
        samples=None if found.series.shape[0] == 1 else 1 if found.time == 0 else 0,
        offset=found.offset,
        start=where[0].start,
        length=length,
        made=where[1],
        rows=count,
        sample=sample,
        counted=tuple(found.counted[sample].nonzero().flatten().tolist()),
        compared=found.compared,
        whole=not found.series.is_floating_point(),
        wraps=found.wraps,
    )


def align(
    answers: Sequence[Answer], trial: int, called: Any, given: Any, outcome: Callable[[], Any]
) -> Iterator[tuple[Alignment, Rows]]:
    """The alignments of one trial. `outcome` gives its call made again with what the losses in it were given."""
    for answer in answers:
        inner = answer.inside is called
        if inner or called.event.index < answer.index:
            for name, argument in given.tensors():
                for found in fits(answer, argument):
                    where = in_call(answer, found, outcome()) if inner else None
                    where = where or in_outputs(answer, found, called.returned)
                    if where is not None:
                        yield told(answer, trial, name, found, where), where[0]


def apart(rows: Rows, one: Any, other: Any, sample: int, samples: int) -> tuple[Difference, bool] | None:
    """How far two outcomes differ in the rows of one sample, and whether they do in any other sample."""
    first, second = rows.of(one, samples), rows.of(other, samples)
    if first is None or second is None or first.shape != second.shape or first.shape[0] != samples:
        return None
    difference_here = difference("", first[sample], second[sample], 0, None, one.handle["eps"])
    whole = difference("", first, second, 0, None, one.handle["eps"])
    if difference_here is None or whole is None:
        return None
    return difference_here, bool(set(whole.beyond(0)) - {sample})
