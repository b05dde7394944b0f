"""Padding: what becomes of a model's outputs when the padding of a sequence is cut off, or other entries put into it.

One padded sequence is taken twice, so that a batch remains; it is compared with the same one cut to its own length, in
evaluation mode, at its real positions. Whatever moves nothing there needs no further call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.inputs import Inputs
from smokestep.evidence.padded import Padded, Paddings, axes
from smokestep.evidence.trials import Difference, Edit, Other, Outcome, Take, Touch, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import Lab, World

SAME = 64.0  # roundings by which two computations of one shape may differ: none do, on one device; slack for kernels
OTHER = 1e4  # roundings by which computations of different shapes may differ: other kernels, other orders of a sum
STATES = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # they make the sequence first, and then their last states

Judged = tuple[int, int, tuple[int, ...] | None]  # an output, the dimension to compare along, and its real indices


@dataclass(frozen=True, slots=True)
class Cut:
    """The operation in which the padding begins to count: alike before it at all real positions, and not after.

    `states`: of a recurrent layer only the last states differ.
    """

    op: str
    line: Line | None
    caller: Line | None
    states: bool = False


@dataclass(frozen=True, slots=True)
class Cropped:
    """What was seen of one padded input of one model. `skipped` is the reason why nothing could be.

    `padded`: the input. `row`, `length`: the sequence taken, and how much of it is real. `ignored`: what tells of the
    padding and is not read. `apart`: by how much an output moved at real positions when the padding was cut off, as a
    share of its scale; 0 if it did not. `pooled`: that output has no positions. `leaks`: it also moved when other entries
    were put at the padded positions. `empty`: it did not move when other entries were put at the real ones. `cut`: where.
    """

    model: str
    line: Line | None = None
    installed: bool = False
    skipped: str = ""
    padded: Padded | None = None
    row: int = 0
    length: int = 0
    ignored: tuple[str, ...] = ()
    apart: float = 0.0
    output: str = ""
    pooled: bool = False
    leaks: bool = False
    empty: bool = False
    cut: Cut | None = None
    eps: float = 0.0  # the rounding of the coarsest of its outputs


@dataclass(frozen=True, slots=True)
class Padding:
    """What was seen of every padded input; if there is none, every model tells why."""

    experiment: ClassVar[str] = "one padded sequence cut to its own length"
    inputs: tuple[Cropped, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Padding:
        """By two calls on two rows for each padded input, and some five more where they differ."""
        lab, trials, paddings = world.lab(), of(Trials).trials, of(Paddings)
        ignored = {model.name: model.ignored for model in of(Inputs).models}
        seen = [_cropped(lab, trials[each.trial], each, ignored.get(each.model, ())) for each in paddings.found]
        return cls(tuple(seen or [Cropped(model, skipped=why) for model, why in paddings.reasons]))


def _cropped(lab: Lab, trial: Trial, padded: Padded, ignored: Sequence[str]) -> Cropped:
    row = min(padded.shorter, key=lambda row: (padded.lengths[row] < 2, padded.lengths[row]))
    known = Cropped(
        trial.model, trial.definition or trial.line, trial.installed, padded=padded, row=row, length=padded.lengths[row]
    )
    known = replace(known, ignored=tuple(each for each in padded.told if each in ignored))
    picked, cutting, why = _edits(trial, padded, row)
    if why:
        return replace(known, skipped=why)
    whole = lab.run(trial.index, picked)
    if whole.error:
        return replace(known, skipped=f"its call on one padded sequence raised {whole.error}")
    if whole.drew:
        return replace(known, skipped="it draws random numbers in evaluation mode")
    short = lab.run(trial.index, [*picked, *cutting])
    if short.error:
        return replace(known, skipped=f"its call without the padding raised {short.error}")
    judged = list(_judged(short, whole, padded, row))
    eps = max((each.eps for each in lab.differences(whole, whole) if each), default=0.0)
    known = replace(known, eps=eps)
    if not judged:
        return replace(known, skipped="no output could be told to have the same positions as its input, or none")
    far = [(each, at) for at in judged if (each := _far(lab, short, whole, at, OTHER, cut=True)) is not None]
    if not far:
        return known
    if _far(lab, whole, lab.run(trial.index, picked), far[0][1], 0.0) is not None:
        return replace(known, skipped="two equal calls of it differ")
    difference, at = far[0]
    return _explained(lab, trial, replace(known, **_moved(difference, at)), at, picked, cutting, whole)  # type: ignore[arg-type]


def _moved(difference: Difference, at: Judged) -> dict[str, object]:
    apart = max(difference.largest) / (difference.scale or 1.0)
    return {"apart": apart, "output": difference.output, "pooled": at[2] is None}


def _explained(
    lab: Lab, trial: Trial, known: Cropped, at: Judged, picked: list[Edit], cutting: list[Edit], whole: Outcome
) -> Cropped:
    """What the difference comes from: what stands in the padding, or only how much of it there is; and where."""
    padded = known.padded
    assert padded is not None

    def changed(positions: Sequence[int], seen: Judged) -> bool:
        others = [Other(each.name, ((each.steps, tuple(positions)),)) for each in padded.contents]
        moved = lab.run(trial.index, [*picked, *others])
        return bool(moved.error) or _far(lab, whole, moved, seen, SAME) is not None

    real = padded.real(known.row)
    leaks = changed(padded.padding(known.row), at)
    empty = leaks and len(real) > 1
    if empty and at[2] is None:
        empty = not changed(real, at)
    elif empty:
        # Each end of the data, with all the rest of the data changed: whatever it learns, it learns from the padding.
        for end, rest in ((at[2][0], real[1:]), (at[2][-1], real[:-1])):  # type: ignore[index]
            seen = at[0], at[1], (end,)
            empty = empty and changed(padded.padding(known.row), seen) and not changed(rest, seen)
    touches = lab.aligned(trial.index, [*picked, *cutting], picked, size=padded.width, kept=real, by=OTHER)
    return replace(known, leaks=leaks, empty=empty, cut=cut_of(touches))


def cut_of(touches: Sequence[Touch]) -> Cut | None:
    """The last operation that reads what is alike and makes what is not: what differs before it is no way of it."""
    found: Cut | None = None
    for touch in touches:
        if any(each.touched for each in touch.reads) or not any(each.touched for each in touch.makes):
            continue
        states = touch.name in STATES and not touch.makes[0].touched
        found = Cut(touch.name, touch.line, touch.caller, states)
    return found


def _edits(trial: Trial, padded: Padded, row: int) -> tuple[list[Edit], list[Edit], str]:
    """The edits that take one row twice, those that then cut its padding off, and a reason why not."""
    if trial.others:
        return [], [], f"`{trial.others[0]}` is no tensor, so that one sequence cannot be picked"
    picked: list[Edit] = []
    cutting: list[Edit] = []
    for each in trial.arguments:
        rows, steps = axes(each.shape, padded.count, padded.width)
        if rows is None and padded.count in each.shape:
            return [], [], f"one sequence cannot be picked from `{each.name}`, of shape {each.shape}"
        if each.floating and steps and each.name not in padded.told and not (len(steps) == 1 and rows is not None):
            if rows is None and each.shape == (padded.width, padded.width):
                cutting += [Take((each.name,), dim, padded.real(row)) for dim in steps]
                continue
            return [], [], f"it is not clear which dimension of `{each.name}`, of shape {each.shape}, counts positions"
        if rows is not None:
            picked.append(Take((each.name,), rows, (row, row)))
        cutting += [Take((each.name,), dim, padded.real(row)) for dim in steps]
    return picked, cutting, ""


def _judged(short: Outcome, whole: Outcome, padded: Padded, row: int) -> Iterator[Judged]:
    """The outputs that have the positions of the input, or do not depend on how many there are."""
    real = padded.real(row)
    for index, (one, other) in enumerate(zip(short.outputs, whole.outputs, strict=False)):
        if len(one.shape) != len(other.shape) or not one.shape or not one.floating:
            continue
        apart = [dim for dim, (p, q) in enumerate(zip(one.shape, other.shape, strict=True)) if p != q]
        if not apart:
            yield index, 0, None
        elif len(apart) == 1 and (one.shape[apart[0]], other.shape[apart[0]]) == (len(real), padded.width):
            yield index, apart[0], real


def _far(
    lab: Lab, one: Outcome, other: Outcome, at: Judged, tolerance: float, *, cut: bool = False
) -> Difference | None:
    """How far an output is apart at its real positions, if by more than the tolerance; `cut`: the first has no others."""
    index, dim, real = at
    apart = lab.differences(one, other, dim=dim, at=real if cut else None)
    found = apart[index] if index < len(apart) else None
    if found is None:
        return None
    over = [each for each in found.beyond(tolerance) if cut or real is None or each in real]
    return found if over else None
