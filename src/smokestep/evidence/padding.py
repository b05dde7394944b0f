"""Padding: what becomes of a model's outputs when the padding of a sequence is cut off, or other entries put into it.

One padded sequence is taken twice, so that a batch remains; it is compared with the same one cut to its own length, in
evaluation mode, at its real positions. Where nothing moves there, no further call is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.inputs import Inputs
from smokestep.evidence.padded import Padded, Paddings, axes
from smokestep.evidence.trials import Difference, Edit, Other, Outcome, Put, Take, Tensor, Touch, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

SAME = 64.0  # roundings by which two computations of one shape may differ: none do, on one device; slack for kernels
OTHER = 1e4  # roundings by which computations of different shapes may differ: other kernels, other orders of a sum
SHOWN = 64  # indices of a dimension that a trail tells
ATTENTION = frozenset(
    "softmax scaled_dot_product_attention multi_head_attention_forward _native_multi_head_attention".split()
)
PRODUCTS = ("matmul", "__matmul__", "bmm", "einsum")
STATES = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # they make the sequence first, and then their last states
QUESTIONS = ("all", "any", "equal")  # what libraries ask a mask, to choose a faster kernel without one


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
    share of its scale; 0 if it did not. `pooled`: that output has no positions. `leaks`: it also moved when other
    entries were put at the padded positions. `cut`: where the padding comes in. `blind`: the attention in which padding
    moves the data, and data does not. `eps`: the rounding of the coarsest output. `left`: padding that was not cut off.
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
    cut: Cut | None = None
    blind: Cut | None = None
    eps: float = 0.0
    left: int = 0

    @property
    def change(self) -> str:
        """By how much it moved, in words."""
        return f"changes by {self.apart:.1%}" if math.isfinite(self.apart) else "is finite or not"


@dataclass(frozen=True, slots=True)
class Padding:
    """What was seen of every padded input; if there is none, every model tells why."""

    experiment: ClassVar[str] = "one padded sequence cut to its own length"
    inputs: tuple[Cropped, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Padding:
        """By two calls on two rows for each padded input, and some six more where they differ."""
        lab, trials, paddings = world.lab(), of(Trials).trials, of(Paddings)
        ignored = {model.name: model.ignored for model in of(Inputs).models}
        seen = []
        for each in paddings.found:
            beside = [other for other in paddings.found if other.trial == each.trial and other is not each]
            unread = tuple(name for name in each.told if name in ignored.get(each.model, ()))
            seen.append(replace(_cropped(lab, trials[each.trial], each, beside), ignored=unread))
        return cls(tuple(seen or [Cropped(model, skipped=why) for model, why in paddings.reasons]))


# ── the experiment ─────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Judged:
    """An output, and the dimension to compare it along. `kept`: the indices that the shorter run has of it, None if
    all; `real`: those that count, None if all."""

    output: int
    dim: int
    kept: tuple[int, ...] | None
    real: tuple[int, ...] | None


def _cropped(lab: Lab, trial: Trial, padded: Padded, beside: Sequence[Padded]) -> Cropped:
    row = min(padded.shorter, key=lambda row: (padded.lengths[row] < 2, padded.lengths[row]))
    known = Cropped(padded.model, trial.definition or trial.line, trial.installed, "", padded, row, padded.lengths[row])
    picked, places, why = _places(lab, trial, padded, row, beside)
    if why:
        return replace(known, skipped=why)
    whole = lab.run(trial.index, picked)
    if whole.error:
        return replace(known, skipped=f"its call on one padded sequence raised {whole.error}")
    if whole.drew:
        return replace(known, skipped="it draws random numbers in evaluation mode")
    for kept in _keeping(padded, row):
        shorter = [*picked, *(Take((name,), dim, kept) for name, dim in places)]
        short = lab.run(trial.index, shorter)
        if not short.error:
            break
    else:
        return replace(known, skipped=f"its call with less padding raised {short.error}")
    eps = max((each.eps for each in lab.differences(whole, whole) if each), default=0.0)
    known = replace(known, eps=eps, left=len(kept) - known.length)
    judged = list(_judged(short, whole, padded, row, kept))
    if not judged:
        return replace(known, skipped="no output was seen to have the positions of its input, or none")
    far = next(((at, each) for at in judged if (each := _far(lab, short, whole, at, OTHER, cut=True))), None)
    at, difference = far or (judged[0], None)
    if difference is None and not known.left:
        return known
    if _far(lab, whole, lab.run(trial.index, picked), at, 0.0):
        return replace(known, skipped="two equal calls of it differ")
    if difference is not None:
        apart = max(difference.largest[index] for index in difference.beyond(OTHER)) / (difference.scale or 1.0)
        known = replace(known, apart=apart)
    known = replace(known, output=short.outputs[at.output].name, pooled=at.real is None)
    touches = lab.beside(trial.index, shorter, picked, size=padded.width, kept=kept, by=OTHER)
    return _explained(lab, trial, replace(known, cut=cut_of(touches)), at, picked, whole)


def _keeping(padded: Padded, row: int) -> Iterator[tuple[int, ...]]:
    """What to keep: the real positions; if that raises, one padded one besides: some code cannot do without."""
    real = padded.real(row)
    yield real
    if len(real) + 1 < padded.width:
        yield (real[0] - 1, *real) if padded.left else (*real, real[-1] + 1)


def _explained(lab: Lab, trial: Trial, known: Cropped, at: Judged, picked: Sequence[Edit], whole: Outcome) -> Cropped:
    """What the difference comes from: what stands in the padding, or only how much of it there is."""
    padded = known.padded
    assert padded is not None
    moved = lab.run(trial.index, [*picked, *_others(padded, padded.padding(known.row))])
    leaks = not moved.error and _far(lab, whole, moved, at, SAME) is not None
    known = replace(known, leaks=leaks)
    attends = leaks and padded.agreed and known.cut is not None and known.cut.op in ATTENTION
    return replace(known, blind=_blind(lab, trial, known, picked)) if attends else known


def _blind(lab: Lab, trial: Trial, known: Cropped, picked: Sequence[Edit]) -> Cut | None:
    """The first attention, if both ends of the data are moved there by the padding, and by none of the other data."""
    padded = known.padded
    assert padded is not None
    real, padding, found = padded.real(known.row), padded.padding(known.row), None
    if len(real) < 3:
        return None

    def attended(edits: Sequence[Edit], end: int) -> tuple[Touch | None, bool]:
        touches = lab.trail(trial.index, picked, [*picked, *edits])
        touch = next((each for each in touches if each.name in ATTENTION), None)
        weighed = touch
        if touch is not None and touch.name == "softmax":  # weights: what they let through shows in the product
            weighed = next((each for each in touches[touches.index(touch) :] if each.name in PRODUCTS), None)
        return touch if weighed else None, weighed is not None and _reaches(weighed, padded.width, end)

    for end, rest in ((real[0], real[1:]), (real[-1], real[:-1])):
        found, moved = attended(_other_data(lab, trial, padded, known.row, rest), end)
        if found is None or moved:
            return None
        if padded.inside:  # other tokens would be no padding: there is only less of it
            by_padding = known.cut is not None and (known.cut.op, known.cut.line) == (found.name, found.line)
        else:
            by_padding = attended(_others(padded, padding), end)[1]
        if not by_padding:
            return None
    return Cut(found.name, found.line, found.caller) if found else None


def _other_data(lab: Lab, trial: Trial, padded: Padded, row: int, positions: Sequence[int]) -> list[Edit]:
    """Other entries for real positions, of which none is a padding token."""
    edits: list[Edit] = []
    for each in padded.contents:
        tensor = trial.argument(each.name)
        if tensor is None or not tensor.whole:
            edits += _others(padded, positions, each.name)
            continue
        take = Take((each.name,), each.rows, (row,))
        entries = lab.entries(each.name, [take, Take((each.name,), each.steps, tuple(positions))], trial=trial.index)
        edits += [Put(each.name, ((each.steps, tuple(positions)),), value) for value in entries[:1]]
    return edits


def _reaches(touch: Touch, width: int, position: int) -> bool:
    """Whether what an attention makes for one position differs; where that cannot be told, it does."""
    made = touch.makes[0] if touch.makes else None
    if made is None or not made.touched:
        return made is None
    dims = [dim for dim, size in enumerate(made.shape) if size == width]
    if touch.name in (*PRODUCTS, "scaled_dot_product_attention") and len(made.shape) - 2 in dims:
        dims = [len(made.shape) - 2]
    shown = made.indices[dims[0]] if len(dims) == 1 else ()
    return len(dims) != 1 or len(shown) >= SHOWN or position in shown


def _others(padded: Padded, positions: Sequence[int], name: str = "") -> list[Edit]:
    where = tuple(positions)
    return [Other(each.name, ((each.steps, where),)) for each in padded.contents if name in ("", each.name)]


def cut_of(touches: Sequence[Touch]) -> Cut | None:
    """The last operation that reads what is alike and makes what is not: what differs before it is no way of it.

    A question about a mask (is anything padded?) differs by nature, and brings no number in.
    """
    found: Cut | None = None
    for touch in touches:
        if touch.name in QUESTIONS or any(each.touched for each in touch.reads):
            continue
        if not any(each.touched for each in touch.makes):
            continue
        states = touch.name in STATES and not touch.makes[0].touched
        found = Cut(touch.name, touch.line, touch.caller, states)
    return found


# ── what is cut, and what is compared ──────────────────────────────────────────────────────────────────────────────
def _places(
    lab: Lab, trial: Trial, padded: Padded, row: int, beside: Sequence[Padded]
) -> tuple[list[Edit], list[tuple[str, int]], str]:
    """The edits that take one row twice, the (argument, dimension) pairs of its positions, and a reason why not.

    `beside`: what else is padded in this call; its arguments are left as they are.
    """
    if trial.others:
        return [], [], f"`{trial.others[0]}` is no tensor, so that one sequence cannot be picked"
    foreign = {name for each in beside for name in each.names} - padded.names
    picked: list[Edit] = []
    places: list[tuple[str, int]] = []
    for each in trial.arguments:
        rows, steps = axes(each.shape, padded.count, padded.width)
        if rows is not None:
            picked.append(Take((each.name,), rows, (row, row)))
        elif padded.count in each.shape:
            return [], [], f"one sequence cannot be picked from `{each.name}`, of shape {each.shape}"
        if not steps or each.name in foreign:
            continue
        if each.name not in padded.names:
            why = _doubt(lab, trial, padded, row, each)
            if why:
                return [], [], why
        elif len(steps) > 1:
            return [], [], f"two dimensions of `{each.name}`, of shape {each.shape}, may count positions"
        places += [(each.name, dim) for dim in steps]
    return picked, places, ""


def _doubt(lab: Lab, trial: Trial, padded: Padded, row: int, each: Tensor) -> str:
    """Why an argument that only has the size of the sequences may have nothing to do with them."""
    rows, steps = axes(each.shape, padded.count, padded.width)
    if rows is None:
        one = steps == (len(each.shape) - 1,) and not each.floating
        square = each.shape[-2:] == (padded.width, padded.width) and len(each.shape) == 2
        return "" if one or square else f"it is not clear whether `{each.name}`, of shape {each.shape}, has positions"
    if len(steps) > 1:
        pairs = each.dtype == "bool" or (each.low, each.high) == (0, 1)
        return (
            "" if pairs else f"it is not clear which dimension of `{each.name}`, of shape {each.shape}, has positions"
        )
    beyond: list[Edit] = [Take((each.name,), rows, (row,)), Take((each.name,), steps[0], padded.padding(row))]
    if "position" in each.name or len(set(lab.entries(each.name, beyond, trial=trial.index))) == 1:
        return ""
    return f"`{each.name}` goes on where `{padded.contents[0].name}` is padded"


def _judged(short: Outcome, whole: Outcome, padded: Padded, row: int, kept: tuple[int, ...]) -> Iterator[Judged]:
    """The outputs that have the positions of the input, or do not depend on how many there are."""
    real = padded.real(row)
    for index, (one, other) in enumerate(zip(short.outputs, whole.outputs, strict=False)):
        if len(one.shape) != len(other.shape) or not one.shape or not one.floating:
            continue
        apart = [dim for dim, (p, q) in enumerate(zip(one.shape, other.shape, strict=True)) if p != q]
        full = [dim for dim, size in enumerate(other.shape) if size == padded.width]
        if len(apart) == 1 and (one.shape[apart[0]], other.shape[apart[0]]) == (len(kept), padded.width):
            yield Judged(index, apart[0], kept, real)
        elif not apart and len(full) < 2:  # without positions, or made as long again
            yield Judged(index, full[0], None, real) if full else Judged(index, 0, None, None)


def _far(
    lab: Lab, one: Outcome, other: Outcome, at: Judged, tolerance: float, *, cut: bool = False
) -> Difference | None:
    """How far an output is apart at its real positions, if by more than the tolerance; `cut`: the first was cut."""
    kept = at.kept if cut else None
    apart = lab.differences(one, other, dim=at.dim, at=kept)
    found = apart[at.output] if at.output < len(apart) else None
    if found is None:
        return None
    if at.real is not None:
        named = zip(kept or range(len(found.largest)), found.largest, strict=True)
        found = replace(found, largest=tuple(each for index, each in named if index in at.real))
    return found if found.beyond(tolerance) else None
