"""Frontier: where in a differentiated function the model ends and the loss begins, read from what is computed.

The model is what works with parameters, and with data on the way to them; its outputs are what is read on from there:
by the loss, by what holds labels, by a reduction. No module needs to exist for it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from smokestep.backends.jax.groups import Group
from smokestep.backends.jax.probe import Body
from smokestep.backends.jax.sketch import Plain, Step

# What a model may still do with its last layer's result: one operand, a row stays a row.
TAIL = frozenset(
    "relu relu6 gelu silu swish tanh sigmoid hard_tanh hard_sigmoid softplus elu leaky_relu celu selu softmax "
    "reshape view squeeze unsqueeze flatten permute transpose to clone __getitem__ identity lax.cond".split()
)


@dataclass(frozen=True, slots=True)
class Frontier:
    """The model in a differentiated function, by numbers of its sketch. `inputs`: the data it is given; `outputs`: what
    is read on; `inside`: positions of its operations among the groups."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    inside: tuple[int, ...]


def frontier(body: Body, data: Collection[int]) -> Frontier | None:
    """The model in a body, of whose inputs `data` come from the batch; None where no data meets a parameter."""
    sketch = body.sketch
    learned = {n for n in sketch.inputs[: body.step.params["counted"]] if body.requires[n] and n not in data}
    groups: list[tuple[int, tuple[int, ...], tuple[int, ...], Group | None]] = []
    for at, each in enumerate(body.groups):
        if isinstance(each, Group):
            groups.append((at, each.reads, each.makes, each))
        else:
            groups.append((at, _operands(each), each.makes, None))
    given = set(data)
    for _, reads, makes, _group in groups:
        if not given.isdisjoint(reads):
            given.update(makes)
        if not learned.isdisjoint(reads) and given.isdisjoint(reads):
            learned.update(makes)
    weighing = [each for each in groups if _weighs(each, given, learned, sketch.avals)]
    if not weighing:
        return None
    needed: set[int] = set()
    region: set[int] = {at for at, *_ in weighing}
    for at, reads, makes, _group in reversed(groups):
        if at in region or not needed.isdisjoint(makes):
            region.add(at)
            needed.update(reads)
    inputs = tuple(n for n in sketch.inputs if n in data and n in needed)
    made = {m for at, _, makes, _g in groups if at in region for m in makes if m in given}
    rows = {shape[0] for n in inputs if (shape := sketch.avals[n].shape)}
    after = {m for at, _, makes, _g in weighing for m in makes} | made
    for at, reads, makes, group in groups:
        if at in region or group is None or made.isdisjoint(reads):
            continue
        moving = {read for read in (reads[:1] if group.name == "lax.cond" else reads) if read in given}
        if (
            group.name in TAIL
            and group.kind != "loss"
            and len(moving) == 1
            and moving <= after
            and not _one_row(group)
            and _kept(sketch.avals[next(iter(moving))].shape, sketch.avals[makes[0]].shape, rows)
        ):
            region.add(at)
            made.update(makes)
            after.update(makes)
    ends = {each for each in sketch.outputs if not isinstance(each, Plain)}
    read_on = {read for at, reads, _m, _g in groups if at not in region for read in reads} | ends
    reached = _forward(weighing, groups)
    outputs = tuple(sorted(m for m in made if m in read_on and m in reached))
    return Frontier(inputs, outputs, tuple(sorted(region))) if inputs and outputs else None


def _operands(step: Step) -> tuple[int, ...]:
    return step.operands


def _weighs(
    each: tuple[int, tuple[int, ...], tuple[int, ...], Group | None],
    given: set[int],
    learned: set[int],
    avals: list[object],
) -> bool:
    """Whether data is worked on with a parameter that has entries: no penalty is added to a loss, no scale applied."""
    _, reads, _makes, group = each
    if group is None or group.kind == "loss" or group.name == "lax.cond":
        return False
    own = [n for n in reads if n in learned and _size(avals[n]) > 1]
    return bool(own) and any(n in given and getattr(avals[n], "shape", ()) for n in reads)


def _size(aval: object) -> int:
    size = 1
    for each in getattr(aval, "shape", ()):
        size *= each
    return size


def _one_row(group: Group) -> bool:
    """Whether an index picks one row, as `x[0]` does."""
    for each in group.steps if group.name == "__getitem__" else ():
        numbers = each.params.get("dimension_numbers")
        if each.primitive == "squeeze" and 0 in each.params.get("dimensions", ()):
            return True
        if each.primitive == "gather" and numbers.collapsed_slice_dims == (0,) and numbers.offset_dims[:1] == (0,):
            return True
    return False


def _kept(before: tuple[int, ...], after: tuple[int, ...], rows: set[int]) -> bool:
    """Whether the rows are still the first dimension."""
    return bool(after) and (after[0] in rows if before and before[0] in rows else before[:1] == after[:1])


def _forward(
    weighing: list[tuple[int, tuple[int, ...], tuple[int, ...], Group | None]],
    groups: list[tuple[int, tuple[int, ...], tuple[int, ...], Group | None]],
) -> set[int]:
    """What comes after a parameter was worked with."""
    found = {m for _, _, makes, _g in weighing for m in makes}
    for _, reads, makes, _group in groups:
        if not found.isdisjoint(reads):
            found.update(makes)
    return found
