"""Alignment: finds the losses whose target is an argument of the model shifted in time, and where their rows were made.

Entries must be equal, all that count, for one shift only; rows are known again by their scores in what the model
returned, so that it does not matter how a prediction was cut or flattened on its way to the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smokestep.backends.shifted import Fit, Layout, in_time, layouts, shifted
from smokestep.backends.tensorflow.lab.compare import EPS, difference
from smokestep.backends.tensorflow.trace import array_of
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.trials import Difference

CUT = 64  # positions by which a prediction may be shorter than what the model made
TOKENS = 1 << 20  # entries up to which targets and scores are compared
ANSWERS = 64  # loss calls looked at


@dataclass(slots=True)
class Answer:
    """What one loss compared: a row of scores, or a number, for each entry of the target. `counted`: which count."""

    result: int
    serial: int
    prediction: Any
    target: Any
    classed: bool
    counted: Any


@dataclass(slots=True)
class Rows:
    """Where the rows of one alignment are found in an outcome: in output `output`, classes last."""

    layout: Layout
    output: int

    def of(self, outcome: Any, samples: int) -> Any:
        """The rows of one outcome, as (sample, position, feature)."""
        made = array_of(outcome.handle["outputs"][self.output][1])
        return None if made is None else in_time(made, self.layout, samples)


def answers(calls: Iterable[Any], step: int) -> list[Answer]:
    """What the losses of one step compared, if each entry of a target has a row of scores."""
    found = (_answer(each) for each in calls if each.step == step)
    return [each for each in found if each is not None][:ANSWERS]


def _answer(call: Any) -> Answer | None:
    prediction, target = array_of(call.prediction), array_of(call.target) if call.target is not None else None
    if prediction is None or target is None or not 0 < target.size <= TOKENS or prediction.size > TOKENS:
        return None
    if target.dtype.kind not in "fiu" or prediction.dtype.kind != "f" or not target.ndim:
        return None
    if call.class_dim is not None and target.shape == (*prediction.shape[:-1], 1) != prediction.shape:
        target = target[..., 0]
    classed = call.class_dim == prediction.ndim - 1 and target.shape == prediction.shape[:-1]
    if classed and bool((target == np.round(target)).all()):
        target = target.astype(np.int64)
    elif target.shape != prediction.shape or target.dtype.kind != "f":
        return None
    weighed = call.weighted or call.reduction == "none" or getattr(call.prediction, "_keras_mask", None) is not None
    counted = _unpadded(target) if weighed else np.ones(target.shape, bool)
    return Answer(call.op.makes[-1] if call.op.makes else -1, call.op.id, prediction, target, classed, counted)


def _unpadded(target: Any) -> Any:
    """Without the runs of one value at either end: weights may leave them out, and most often do."""
    counted, along = np.ones(target.shape, bool), min(1, target.ndim - 1)
    if target.shape[along] < 2:
        return counted
    for turn in (lambda array: array, lambda array: np.flip(array, along)):
        ends = turn(target)
        run = np.logical_and.accumulate(ends == np.take(ends, [0], along), axis=along)
        counted &= ~turn(run & np.take(run, [1], along))  # one entry is no run
    return counted


def fits(answer: Answer, argument: Any) -> list[Fit]:
    """How the target of a loss is this argument shifted, if their types can be compared."""
    whole = argument.dtype.kind in "iu"
    if not argument.ndim or not argument.size or whole != (answer.target.dtype.kind != "f"):
        return []
    if not whole and argument.dtype.kind != "f":
        return []
    return shifted(answer.target, answer.counted, argument)


# ── where the rows were made ───────────────────────────────────────────────────────────────────────────────────────
def _placed(rows: Any, counted: Any, made: Any) -> int | None:
    """At which position of what the model made the rows begin; None if they are not there, or in several places."""
    count, room = rows.shape[1], made.shape[1] - rows.shape[1]
    if made.shape[0] != rows.shape[0] or made.shape[2] != rows.shape[2] or not 0 <= room <= CUT:
        return None
    found = [start for start in range(room + 1) if _same(rows[counted], made[:, start : start + count][counted])]
    return found[0] if len(found) == 1 else None


def _same(one: Any, other: Any) -> bool:
    """Whether scores are the same, or differ by one number a row, as they do after a logarithm of softmax."""
    eps = max(EPS.get(each.dtype.name, 2.0**-24) for each in (one, other))
    first, second = one.astype(np.float64), other.astype(np.float64)
    limit = 16 * eps * (1 + float(np.abs(second).max()))
    if bool((np.abs(first - second) <= limit).all()):
        return True
    if one.shape[-1] < 2:
        return False
    return bool((np.abs((first - first[..., :1]) - (second - second[..., :1])) <= 2 * limit).all())


def _in_outputs(answer: Answer, found: Fit, outputs: Sequence[Any]) -> tuple[Rows, int, int] | None:
    """Where the rows of a loss lie in what the model returned, where they begin, and how many positions that has."""
    samples = found.series.shape[0]
    mine = in_time(answer.prediction, found.layout, samples)
    if mine is None or mine.shape[:2] != found.counted.shape:
        return None
    for index, each in enumerate(outputs):
        view = array_of(each)
        if view is None or view.dtype.kind != "f" or view.ndim < 2 or not 0 < view.size <= TOKENS:
            continue
        for layout in layouts(view.ndim - answer.classed, samples):
            made = in_time(view, layout, samples)
            if made is not None and (start := _placed(mine, found.counted, made)) is not None:
                return Rows(layout, index), start, made.shape[1]
    return None


def align(
    known: Sequence[Answer], trial: int, since: int, names: Iterable[tuple[str, Any]], outputs: Sequence[Any]
) -> Iterator[tuple[Alignment, Rows]]:
    """The alignments of one trial: its call, `since` this serial number, was given `names` and gave `outputs`."""
    given = [(name, array) for name, tensor in names if (array := array_of(tensor)) is not None]
    for answer in known:
        for name, argument in given if answer.serial > since else ():
            for found in fits(answer, argument):
                if (where := _in_outputs(answer, found, outputs)) is not None:
                    yield _told(answer, trial, name, found, *where[1:]), where[0]


def _told(answer: Answer, trial: int, argument: str, found: Fit, start: int, made: int) -> Alignment:
    length, count = found.series.shape[1], found.counted.shape[1]
    within = [j for j in range(count) if 0 <= j + found.offset < length]
    sample = int(found.counted[:, within].sum(1).argmax())
    return Alignment(
        trial=trial,
        result=answer.result,
        argument=argument,
        time=found.time,
        samples=None if found.series.shape[0] == 1 else 1 if found.time == 0 else 0,
        offset=found.offset,
        start=start,
        length=length,
        made=made,
        rows=count,
        sample=sample,
        counted=tuple(map(int, found.counted[sample].nonzero()[0])),
        compared=found.compared,
        whole=found.series.dtype.kind != "f",
        wraps=found.wraps,
    )


def apart(rows: Rows, one: Any, other: Any, sample: int, samples: int) -> tuple[Difference, bool] | None:
    """How far two outcomes differ in the rows of one sample, and whether they do in any other sample."""
    first, second = rows.of(one, samples), rows.of(other, samples)
    if first is None or second is None or first.shape != second.shape or first.shape[0] != samples:
        return None
    here = difference("", first[sample], second[sample], 0, None, one.handle["eps"])
    whole = difference("", first, second, 0, None, one.handle["eps"])
    if here is None or whole is None:
        return None
    return here, bool(set(whole.beyond(0)) - {sample})
