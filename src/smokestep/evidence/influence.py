"""Influence: which sample's output depends on which sample's input, in evaluation mode, by nudging one sample.

A few samples are picked, so that it costs little; everything is compared with the same call made twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from smokestep.evidence.samples import Batch, Samples
from smokestep.evidence.trials import Difference, Edit, Other, Outcome, Spread, Take, Touch, Trial, Trials
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.evidence.lab import Lab
    from smokestep.world import World

PICKED = 3  # samples: the least number of which one is nudged and two others stay; odd, so that no size divides it
SAME = (
    1e-5  # of the scale, by which two computations of one shape may differ: none do, on one device; slack for kernels
)
GROUPS = "its rows come in groups, as of agents or environments, so that no sample can be picked"
OTHER = 1e4  # roundings by which computations of different shapes may differ: other kernels, other orders of a sum


@dataclass(frozen=True, slots=True)
class Meeting:
    """The operation in which samples meet: the first whose inputs keep them apart and whose result does not.

    `torn`: it only arranges entries anew (a view), so that the rows it makes are no samples any more, although they are
    as many, or as many times a whole number: groups of another number are meant. `joint`: more than one of its inputs
    holds samples (a product of the batch with itself).
    """

    op: str
    line: Line | None
    caller: Line | None
    torn: bool
    joint: bool
    module: str = ""
    learned: bool = False  # it works with a parameter
    only: bool = False  # but for features, its input has no other dimension than that of the samples: one sequence


@dataclass(frozen=True, slots=True)
class Influenced:
    """What was seen of one model. `skipped` is the reason why nothing could be, all else is then empty.

    `leaks`: outputs in which other samples changed too when one was nudged. `order`: outputs that differ when the
    samples are reversed, and `stray` the first operation that treats equal samples unequally, `routed` if all that it
    reads comes from the input, so that no table has an entry for each row, `timeless` if dimension 1 keeps its
    entries apart as well, so that either may count the samples; `size`: outputs that differ when one sample is left
    out. `fewer`, `alone`: what is wrong with the call for fewer samples and for one: an error or a shape; "" if it is
    as it should be; `written`: a view made as many rows of the fewer samples as the whole batch has; `squeezed`: the
    line that drops the dimension of one sample. `whole`: all samples were taken. `kept`: what the call changes in the
    model itself. `unasked`: no sample was nudged, for the call with fewer was not as it should be.
    """

    model: str
    line: Line | None = None
    installed: bool = False
    skipped: str = ""
    picked: int = 0
    whole: bool = False
    kept: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    meeting: Meeting | None = None
    order: tuple[str, ...] = ()
    stray: Touch | None = None
    routed: bool = False
    timeless: bool = False
    size: tuple[str, ...] = ()
    alone: str = ""
    alone_line: Line | None = None
    squeezed: Line | None = None
    fewer: str = ""
    fewer_line: Line | None = None
    written: bool = False
    unasked: bool = False


@dataclass(frozen=True, slots=True)
class Influence:
    """What was seen of every model, in order of their first call."""

    experiment: ClassVar[str] = "one sample nudged, the batch reversed, shortened and cut to one"
    models: tuple[Influenced, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Influence:
        """By some five calls of each model on three of its samples."""
        lab, samples = world.lab(), of(Samples)
        return cls(tuple(_influenced(lab, trial, samples.of(trial)) for trial in of(Trials).of_models()))


def _influenced(lab: Lab, trial: Trial, batch: Batch) -> Influenced:
    known = Influenced(trial.model, trial.definition or trial.line, trial.installed)
    if batch.why:
        return _skipped(known, batch.why)
    count = min(batch.count, PICKED) if batch.separable else batch.count
    base = _picked(batch, range(count))
    first = lab.run(trial.index, base)
    rows = [index for index, each in enumerate(first.outputs) if _rows(each.shape, batch, count)]
    if not rows:
        return _unlike_the_whole(lab, trial, batch, count, first, known)
    again = lab.run(trial.index, base)
    if any(each and each.beyond(0) for each in lab.differences(first, again, dim=batch.dim)):
        return _skipped(known, "two equal calls of it differ")
    edits = _nudge(trial, batch, 1)
    if not edits:
        return _skipped(known, "no argument holds numbers that could be nudged")
    nudged = lab.run(trial.index, [*base, *edits])
    if nudged.error:
        return _skipped(known, f"its call with one sample nudged raised {nudged.error}")
    apart = [each for i, each in enumerate(lab.differences(first, nudged, dim=batch.dim)) if i in rows and each]
    leaks = tuple(_named(each) for each in apart if set(each.over(SAME)) - {1})
    if leaks and batch.separable and lab.run(trial.index, _picked(batch, range(count - 1))).error:
        if _grouped(lab, trial, batch):
            return _skipped(known, GROUPS)
    meeting = None
    if leaks:
        meeting = meeting_of(lab.trail(trial.index, base, [*base, *edits]), count)
    found: dict[str, Any] = {
        "picked": count,
        "leaks": leaks,
        "meeting": meeting,
        "whole": count == batch.count,
    }
    found["kept"] = first.kept
    if not leaks and not first.drew and not first.kept:
        found |= _rearranged(lab, trial, batch, count, first)
    return Influenced(known.model, known.line, known.installed, **found)


def _unlike_the_whole(
    lab: Lab, trial: Trial, batch: Batch, count: int, first: Outcome, known: Influenced
) -> Influenced:
    """A few samples do not give a row each: neither does the whole batch, or the model wants just that number."""
    whole = lab.run(trial.index) if count < batch.count else first
    if whole.error:
        return _skipped(known, f"its call could not be repeated in evaluation mode: {whole.error}")
    if not any(_rows(each.shape, batch, batch.count) for each in whole.outputs):
        return _skipped(known, "in evaluation mode no output has a row for each sample")
    shapes = [each.shape for each in first.outputs if each.shape]
    base = _picked(batch, range(count))
    if not first.error:  # it keeps its form, whatever the batch: the samples may have met
        meeting = meeting_of(lab.trail(trial.index, base, [*base, *_nudge(trial, batch, 1)]), count)
        if meeting is not None and not meeting.torn:
            return replace(known, picked=count, leaks=("",), meeting=meeting)
    if first.error and batch.separable and _grouped(lab, trial, batch):
        return _skipped(known, GROUPS)
    fewer = first.error or f"its output has the shape {shapes[0] if shapes else ()}"
    line, written = first.error_line, False
    for touch in lab.trail(trial.index, base, [*base, *_nudge(trial, batch, 1)]):
        if (
            touch.name in VIEWING
            and count < batch.count
            and any(each.shape[:1] == (batch.count,) for each in touch.makes)
        ):
            line, written = touch.caller or touch.line, True
            break
    return replace(known, picked=count, fewer=fewer, fewer_line=line, written=written, unasked=True)


def _grouped(lab: Lab, trial: Trial, batch: Batch) -> bool:
    """Whether a model that refuses fewer samples takes the whole batch twice: its rows come in groups of some size."""
    twice = lab.run(trial.index, _picked(batch, (*range(batch.count), *range(batch.count))))
    return not twice.error and any(_rows(each.shape, batch, 2 * batch.count) for each in twice.outputs)


def _rearranged(lab: Lab, trial: Trial, batch: Batch, count: int, first: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not batch.separable:
        return found  # what has its samples elsewhere, as a recurrent state, would not be reversed with them
    back = tuple(reversed(range(count)))
    reverse = lab.run(trial.index, _picked(batch, back))
    found["order"] = _apart(lab, first, reverse, batch, back)
    if found["order"]:
        alike = _picked(batch, (0,) * count)
        found["stray"] = stray = lab.stray(trial.index, alike, count)
        if stray is not None:
            every = [edit for row in range(count) for edit in _nudge(trial, batch, row)]
            here = [
                t
                for t in lab.trail(trial.index, alike, [*alike, *every])
                if (t.name, t.line) == (stray.name, stray.line)
            ]
            found["routed"] = bool(here) and all(each.touched for t in here for each in t.reads)
        found["timeless"] = _timeless(lab, trial, batch, count, first)
    fewer = lab.run(trial.index, _picked(batch, range(count - 1)))
    if fewer.error and _grouped(lab, trial, batch):
        return {"skipped": GROUPS}
    if fewer.error:
        found |= {"fewer": fewer.error, "fewer_line": fewer.error_line}
    elif count > 2:
        found["size"] = _apart(lab, fewer, first, batch, range(count - 1))
        if found["size"]:  # where samples meet in reverse order, the one in the middle, nudged before, met only itself
            nudged = lab.run(trial.index, [*_picked(batch, range(count)), *_nudge(trial, batch, 0)])
            apart = lab.differences(first, nudged, dim=batch.dim)
            found["size"] = () if any(each and set(each.over(SAME)) - {0} for each in apart) else found["size"]
    if not fewer.error:
        alone = lab.run(trial.index, _picked(batch, (0,)))
        shapes = [
            (index, each.shape)
            for index, each in enumerate(alone.outputs)
            if index < len(first.outputs)
            and _rows(first.outputs[index].shape, batch, count)
            and len(first.outputs[index].shape) > 1  # a scalar for one sample is no row lost
        ]
        wrong = [shape for i, shape in shapes if shape != _shortened(first.outputs[i].shape, batch.dim)]
        if alone.error or wrong:
            flow = lab.trail(trial.index, _picked(batch, (0,)), [*_picked(batch, (0,)), *_nudge(trial, batch, 0)])
            squeezed = next((each.caller or each.line for each in flow if each.name.rstrip("_") == "squeeze"), None)
            told = alone.error or f"its output has the shape {wrong[0]}"
            found |= {"alone": told, "alone_line": alone.error_line, "squeezed": squeezed}
    return found


def _timeless(lab: Lab, trial: Trial, batch: Batch, count: int, first: Outcome) -> bool:
    """Whether the entries of the next dimension do not influence each other, in outputs that have it too."""
    time = batch.dim + 1
    given = [each for name in batch.arguments if (each := trial.argument(name)) and len(each.shape) > time]
    if not given or given[0].shape[time] < 2:
        return False
    edits = [Other(each.name, ((batch.dim, (0,)), (time, (0,)))) for each in given if each.floating or each.whole]
    nudged = lab.run(trial.index, [*_picked(batch, range(count)), *edits])
    sides = [
        each
        for made, each in zip(first.outputs, lab.differences(first, nudged, dim=time), strict=False)
        if each and len(made.shape) > time and made.shape[time] == given[0].shape[time]
    ]
    return bool(sides) and not any(set(each.over(SAME)) - {0} for each in sides)


def _apart(lab: Lab, one: Outcome, other: Outcome, batch: Batch, at: Sequence[int]) -> tuple[str, ...]:
    apart = lab.differences(one, other, dim=batch.dim, at=tuple(at))
    return tuple(_named(each) for i, each in enumerate(apart) if i in batch.outputs and each and each.beyond(OTHER))


def _skipped(known: Influenced, why: str) -> Influenced:
    return Influenced(known.model, known.line, known.installed, skipped=why)


def _picked(batch: Batch, rows: Sequence[int]) -> list[Edit]:
    return [Take(batch.arguments, batch.dim, tuple(rows))]


def _nudge(trial: Trial, batch: Batch, row: int) -> list[Edit]:
    tensors = (trial.argument(name) for name in batch.arguments)
    return [Other(each.name, ((batch.dim, (row,)),)) for each in tensors if each and (each.floating or each.whole)]


def _rows(shape: tuple[int, ...], batch: Batch, count: int) -> bool:
    return len(shape) > batch.dim and shape[batch.dim] == count


def _shortened(shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return tuple(1 if index == dim else size for index, size in enumerate(shape))


def _named(difference: Difference) -> str:
    return difference.output


# ── where samples meet ─────────────────────────────────────────────────────────────────────────────────────────────
VIEWING = frozenset("view reshape flatten unflatten ravel view_as reshape_as".split())
SORTING = frozenset("sort argsort topk index_select gather".split())
ATTENTION = frozenset(
    "multi_head_attention_forward scaled_dot_product_attention _transformer_encoder_layer_fwd "
    "_native_multi_head_attention".split()
)
RECURRENT = frozenset("lstm gru rnn_tanh rnn_relu".split())
SERIAL = ATTENTION | RECURRENT  # what works along a sequence


def meeting_of(touches: Sequence[Touch], count: int) -> Meeting | None:
    """The first operation that brings the samples together; None if every single one keeps them apart.

    A sorting is one only if there is no other: packed sequences are sorted, and put back in order.
    """
    merged: Touch | None = None  # the last view by which a sample came to have several rows
    sorting: Meeting | None = None
    for touch in touches:
        before = [each for each in touch.reads if each.touched]
        after = [each for each in touch.makes if each.touched]
        if not before or not after:
            continue
        dims = [_sample_dim(each, count) for each in before]
        if any(dim is None for dim in dims):
            continue
        kept = [_sample_dim(each, count) for each in after]
        if all(dim is not None for dim in kept):
            if touch.name in VIEWING and _rows_of_one(before[0], dims[0]) == 1 != _rows_of_one(after[0], kept[0]):
                merged = touch
            continue
        meeting = _meeting(touch, before, dims[0], count)
        if touch.name in SERIAL and merged is not None and _rows_of_one(before[0], dims[0]) > 1:
            return _meeting(merged, before, dims[0], count)
        if touch.name not in SORTING:
            return meeting
        sorting = sorting or meeting
    return sorting


def _meeting(touch: Touch, before: Sequence[Spread], dim: int | None, count: int) -> Meeting:
    made = [each.shape for each in touch.makes if each.touched]
    return Meeting(
        op=touch.name,
        line=touch.line,
        caller=touch.caller,
        torn=touch.name in VIEWING
        and any(shape[0] % count == 0 or count in shape for shape in made if shape)
        and all(_of_one(each, count) for each in before),
        joint=len(before) > 1,
        module=touch.module,
        learned=touch.learned,
        only=all(size == 1 for each, size in enumerate(before[0].shape[:-1]) if each != dim),
    )


def _of_one(spread: Spread, count: int) -> bool:
    """Whether what changed lies where the entries of sample 1 lie, folded together with others in whatever order; else
    the samples have met before, in some operation that chose among them."""
    dim = _sample_dim(spread, count)
    if dim is None:
        return False
    share = spread.shape[dim] // count
    inner = (size for size in range(1, share + 1) if share % size == 0)
    return any(all(index // size % count == 1 for index in spread.indices[dim]) for size in inner)


def _rows_of_one(spread: Spread, dim: int | None) -> int:
    return 0 if dim is None else len(spread.indices[dim])


def _sample_dim(spread: Spread, count: int) -> int | None:
    """The first dimension along which one sample of `count` takes no more than its share."""
    for dim, indices in enumerate(spread.indices):
        if 0 < len(indices) * count <= spread.shape[dim]:
            return dim
    return None
