"""Trail: the operations of one run of a model, and of two runs side by side; a loop over time is one operation.

An unrolled loop is one over time where its turns pick from data; a loop over layers picks parameters, and stays open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from smokestep.backends.jax import frames, trees
from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.lab.compare import alike, spread
from smokestep.backends.jax.lab.rerun import Heard
from smokestep.backends.jax.sketch import Plain
from smokestep.evidence.trials import Spread, Touch

RECURRENCE = "rnn_tanh"  # what the evidence calls a recurrence: it gives the whole sequence first, then its last states
SCALED = "scaled_dot_product_attention"
NOTHING = Spread((), (), False)


@dataclass(slots=True)
class Ran:
    """One operation of a run: what it read and made, by number; None stands for a sequence that nothing reads."""

    name: str
    group: Group
    reads: tuple[int, ...]
    makes: tuple[int | None, ...]


def ran(heard: Heard | None, whole: bool = True) -> list[Ran]:
    """The operations of the model, in order; `whole`: a loop over time is one of them."""
    if heard is None:
        return []
    groups = [each for at in heard.model.inside if isinstance(each := heard.body.groups[at], Group)]
    data = _data(heard, groups)
    timed = {loop for each in groups if whole and (loop := _picks(each, data)) is not None}
    found: list[Ran] = []
    start = 0
    while start < len(groups):
        loop = next((each for each in groups[start].steps[0].loops if each in timed), None)
        end = start + 1
        while loop is not None and end < len(groups) and loop in groups[end].steps[0].loops:
            end += 1
        each = groups[start]
        if loop is not None:
            found.append(_loop(heard, groups[start:end], data, loop))
        elif each.steps[0].primitive == "scan" and (closed := _closed(each, data)) is not None:
            found.append(closed)
        else:
            found.append(Ran(each.name, each, each.reads, each.makes))
        start = end
    return found


def _data(heard: Heard, groups: Sequence[Group]) -> set[int]:
    data = set(heard.model.inputs)
    for each in groups:
        if not data.isdisjoint(each.reads):
            data.update(each.makes)
    return data


def _picks(group: Group, data: Collection[int]) -> int | None:
    """The innermost loop that this operation begins a turn of, by picking an entry of data."""
    step = group.steps[0]
    picks = step.primitive == "select" and step.loops and any(each in data for each in step.operands)
    return step.loops[-1] if picks else None


def _loop(heard: Heard, groups: Sequence[Group], data: Collection[int], loop: int) -> Ran:
    """The turns of a loop over time as one operation: the sequences it reads come first, those it makes as well."""
    made = {value for each in groups for value in each.makes}
    rest = [each for each in heard.body.groups if not any(each is own for own in groups)]
    read_on = {value for each in rest for value in (each.reads if isinstance(each, Group) else each.operands)}
    read_on |= {each for each in heard.body.sketch.outputs if not isinstance(each, Plain)} | set(heard.model.outputs)
    sequences = [v for each in groups if _picks(each, data) == loop for v in each.reads if v in data]
    reads = [value for each in groups for value in each.reads if value not in made]
    stacked = [v for each in groups if each.steps[0].primitive == "stack" for v in each.makes if v in read_on]
    states = [value for each in groups for value in each.makes if value in read_on and value not in stacked]
    makes = (*(stacked or [None]), *dict.fromkeys(states))
    return Ran(RECURRENCE, groups[0], tuple(dict.fromkeys([*sequences, *reads])), makes)


def _closed(group: Group, data: Collection[int]) -> Ran | None:
    """A loop that was too long to be unrolled, if it is one over time."""
    step = group.steps[0]
    fixed, carried = (step.params.get(key) for key in ("num_consts", "num_carry"))
    if not isinstance(fixed, int) or not isinstance(carried, int):
        return None
    rows = [each for each in step.reads[fixed + carried :] if not isinstance(each, Plain) and each in data]
    if not rows:
        return None
    stacked = [each for each in step.makes[carried:] if each in group.makes]
    states = [each for each in step.makes[:carried] if each in group.makes]
    return Ran(RECURRENCE, group, tuple(dict.fromkeys([*rows, *group.reads])), (*(stacked or [None]), *states))


# ── two runs side by side ──────────────────────────────────────────────────────────────────────────────────────────
def touches(one: Heard | None, other: Heard | None, *, whole: bool = True) -> tuple[Touch, ...]:
    """The operations whose inputs or results differ, as far as both runs made the same ones."""
    found: list[Touch] = []
    if one is None or other is None:
        return ()
    for first, second in zip(ran(one, whole), ran(other, whole), strict=False):
        if first.name != second.name or len(first.reads) != len(second.reads):
            break
        before = _spreads(one, other, first.reads, second.reads)
        after = _spreads(one, other, first.makes, second.makes)
        if any(each.touched for each in (*before, *after)):
            found.append(touch(one, first, before, after))
    return tuple(found)


def stray(heard: Heard | None, size: int) -> Touch | None:
    """The first operation that gives unlike rows for rows that are alike, along a dimension of this size."""
    for each in ran(heard):
        assert heard is not None
        reads, makes = ([heard.values[n] for n in side if n in heard.values] for side in (each.reads, each.makes))
        same = [
            d for read in reads for d in range(read.ndim) if read.shape[d] == size and plain(read) and alike(read, d)
        ]
        if same and any(
            made.ndim > d and made.shape[d] == size and plain(made) and not alike(made, d)
            for d in same
            for made in makes
        ):
            return touch(heard, each, [spread(e, e) for e in reads], [spread(e, e) for e in makes])
    return None


def touch(heard: Heard, each: Ran, reads: Sequence[Spread], makes: Sequence[Spread]) -> Touch:
    """An operation as evidence."""
    line, own = frames.lines((*each.group.path, *heard.path))
    counted = set(heard.body.sketch.inputs[: heard.body.step.params["counted"]])
    args = tuple(each.group.args.items())
    learned = not counted.isdisjoint(each.reads)
    if each.name == SCALED:
        reads, makes = ([_turned(spread) for spread in side] for side in (reads, makes))
    return Touch(each.name, tuple(reads), tuple(makes), line, own[0] if own else line, "", args, learned, own)


def _turned(spread: Spread) -> Spread:
    """Positions before features, as the evidence has them: JAX counts heads between them."""
    if len(spread.shape) != 4 or not spread.indices:
        return spread
    (a, b, c, d), (i, j, k, m) = spread.shape, spread.indices
    return Spread((a, c, b, d), (i, k, j, m), spread.box)


def plain(array: Any) -> bool:
    """Whether the entries of an array are numbers, and there are some."""
    return not trees.is_key(array) and array.size > 0


def _spreads(one: Heard, other: Heard, firsts: Sequence[Any], seconds: Sequence[Any]) -> list[Spread]:
    return list(_paired(one, other, firsts, seconds))


def _paired(one: Heard, other: Heard, firsts: Sequence[Any], seconds: Sequence[Any]) -> Iterator[Spread]:
    for first, second in zip(firsts, seconds, strict=False):
        if first is None or second is None:
            yield NOTHING
            continue
        a, b = one.values.get(first), other.values.get(second)
        if a is not None and b is not None and plain(a) and plain(b):
            yield spread(a, b)
