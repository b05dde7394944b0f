"""Updates: which gradients went into which optimizer, and whether what came of them became the new parameters.

Read from the arithmetic on gradients outside of what is differentiated: it begins at a gradient, and ends in a leaf of
the state that the step left, or nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from smokestep.backends.jax import frames
from smokestep.backends.jax.cells import Arithmetic, Cell, Turn
from smokestep.findings import Line

Path = tuple[str, ...]
VERSIONS = frozenset({"add", "sub", "to", "identity"})  # what makes a leaf's next value of the one before


@dataclass(slots=True)
class Update:
    """One place where an optimizer (or a line of the user's, by hand) worked on gradients, in one step.

    `given`: the gradients it was given (positions in `Turn.gradients`). `applied`: the leaves that it changed.
    `top`: the path of the optimizer's state, None for arithmetic by hand. `skipped`: the branch that a cond took leaves
    all as it was.
    """

    index: int
    line: Line | None
    given: int = 0
    members: list[int] = field(default_factory=list)
    top: Path | None = None
    by_hand: bool = False
    skipped: bool = False
    applied: dict[Path, float | None] = field(default_factory=dict)  # leaf -> the largest entry of what was added
    rate: float | None = None
    turns: int = 0  # the backward passes before it
    sizes: dict[int, float] = field(default_factory=dict)  # gradient -> the largest entry of its update

    @property
    def used(self) -> bool:
        """Whether it did something with the gradients that it was given."""
        return not self.skipped and (bool(self.applied) or not self.by_hand)


def updates(turn: Turn, tops: Iterable[Path], aside: Set[Path] = frozenset()) -> list[Update]:
    """The updates of one step, in order; `aside` are leaves that are no parameters."""
    found: dict[object, Update] = {}
    tops = list(tops)
    of_state: dict[int, Path] = {
        value: top for path, value in turn.entered.items() for top in tops if path[: len(top)] == top
    }
    home: dict[int, Path] = dict(of_state)  # value -> the optimizer state that it was computed from
    for position, each in enumerate(turn.arithmetic):
        top = next((home[read] for read in each.reads if read in home), None)
        if top is not None and each.optimizing:
            for made in each.makes:
                home.setdefault(made, top)
        if each.optimizing and not each.applying:
            line = _line(each)
            turns = sum(backed.index < each.id for backed in turn.backwards)
            key = (line, top, turns)
            update = found.setdefault(key, Update(each.id, line, top=top, turns=turns))
            update.members.append(position)
            update.index = max(update.index, each.id)
            for read in each.reads:
                update.given |= turn.taint.get(read, 0)
    merged = _merged(list(found.values()))
    _applied(turn, merged, aside, tops)
    merged = _whole(turn, merged)
    for update in merged:
        update.rate = None if update.skipped else _rate(turn, update)
        if not update.applied and not update.skipped:
            update.line = _end(turn, update) or update.line
    if not any(update.applied or update.skipped for update in merged):
        merged += _unmerged(turn, merged)
    return sorted(merged, key=lambda each: each.index)


def rescaled(turn: Turn) -> list[Arithmetic]:
    """Where gradients of several backward passes are multiplied or divided by one number, by the user's own hand."""
    if len(turn.backwards) < 2:
        return []
    own = [each for each in turn.arithmetic if not each.optimizing and not each.applying]
    return [
        each
        for each in own
        if each.name in ("mul", "div", "mean") and sum(bool(turn.taint.get(read)) for read in each.reads) == 1
    ]


def _line(each: Arithmetic) -> Line | None:
    inner, own = frames.lines(each.path)
    return own[0] if own else inner


def _merged(found: list[Update]) -> list[Update]:
    """Arithmetic that reads no state of its own belongs to the optimizer that works on the same line."""
    kept = [each for each in found if each.given]
    whole = [each for each in kept if each.top is not None]
    for each in kept:
        if each.top is None:
            same = [other for other in whole if other.line == each.line and other.turns == each.turns]
            if len(same) == 1:
                same[0].members += each.members
                same[0].index = max(same[0].index, each.index)
                same[0].given |= each.given
            elif not same:
                whole.append(each)
    return whole


def _applied(turn: Turn, found: list[Update], aside: Set[Path], tops: Iterable[Path]) -> None:
    """Follow every leaf that the step left back to the update that made it."""
    of: dict[int, Update] = {position: update for update in found for position in update.members}
    by_hand: dict[Line | None, Update] = {}
    real, over = _really(turn), dict.fromkeys(tops)
    passed: list[Update] = []
    for path, given in turn.left.items():
        value = _taken(turn, given)
        if turn.taint.get(given) and given not in real:
            if (update := _first(turn, given, of)) is not None:
                passed.append(update)
            elif (top := next((top for top in over if path[: len(top)] == top), None)) is not None:
                over[top] = _passed_over(turn, given, top, over[top])
            continue
        if value == turn.entered.get(path) or not turn.taint.get(value) or path in aside:
            continue
        maker = turn.made_of.get(value)
        last = turn.arithmetic[maker] if maker is not None else None
        size = _added(turn, value, turn.entered.get(path))
        update = _first(turn, value, of)
        if update is None:
            line = _line(last) if last is not None else None
            update = by_hand.setdefault(line, Update(last.id if last else turn.index, line, by_hand=True))
            update.index = max(update.index, last.id if last else 0)
        elif last is not None:
            update.index = max(update.index, last.id)
        update.given |= turn.taint[value] if update.by_hand else 0
        update.applied[path] = size
        for earlier in _versions(turn, value, of):  # what a later update of the same step was added to
            before = _first(turn, earlier, of)
            if before is not None and before is not update:
                before.applied.setdefault(path, None)
    for update in passed:
        update.skipped = not update.applied
    busy = {update.top for update in found}
    found.extend([*by_hand.values(), *(each for top, each in over.items() if each is not None and top not in busy)])


def _really(turn: Turn) -> set[int]:
    """What was made of gradients in the branches that were taken."""
    found = {gradient.value for gradient in turn.gradients}
    for each in turn.arithmetic:
        reads = each.reads[:1] if each.name == "lax.cond" else each.reads
        if not found.isdisjoint(reads):
            found.update(each.makes)
    return found


def _passed_over(turn: Turn, value: int, top: Path, before: Update | None) -> Update:
    """The update of an optimizer whose state a cond left as it was."""
    each = turn.arithmetic[turn.made_of[value]]
    update = before or Update(each.id, _line(each), top=top, skipped=True)
    update.index, update.given = max(update.index, each.id), update.given | turn.taint[value]
    return update


def _taken(turn: Turn, value: int) -> int:
    """What a value is by the branches that were taken, if conds gave it."""
    while (position := turn.made_of.get(value)) is not None and turn.arithmetic[position].name == "lax.cond":
        result = turn.arithmetic[position].reads[0]
        if turn.cells[result].shape != turn.cells[value].shape:
            break
        value = result
    return value


def _versions(turn: Turn, value: int, of: dict[int, Update]) -> Iterator[int]:
    """The earlier values of a leaf in the step, each what an update was added to, the latest first."""
    seen = {value}
    while (position := turn.made_of.get(value)) is not None:
        each, shape = turn.arithmetic[position], turn.cells[value].shape
        older = [
            read
            for read in each.reads
            if turn.cells[read].shape == shape and turn.made_of.get(read, -1) not in of and read in turn.made_of
        ]
        if each.name not in VERSIONS or len(older) != 1 or older[0] in seen:
            return
        value = older[0]
        seen.add(value)
        if len(each.reads) == 2:
            yield value


def _whole(turn: Turn, found: list[Update]) -> list[Update]:
    """The updates, without those that are a part of another: a transformation whose result it was given, or the same
    optimizer asked beforehand what it would do."""
    kept = list(found)
    for each in found:
        beside = [
            other
            for other in kept
            if other.applied and not other.by_hand and other.turns == each.turns and other.given & each.given
        ]
        if each.applied or each.by_hand or each.skipped or not beside:
            continue
        ahead = {made for position in each.members for made in turn.arithmetic[position].makes}
        for position in range(min(each.members, default=0), len(turn.arithmetic)):
            if not ahead.isdisjoint(turn.arithmetic[position].reads):
                ahead.update(turn.arithmetic[position].makes)
        for other in beside:
            fed = any(not ahead.isdisjoint(turn.arithmetic[position].reads) for position in other.members)
            if fed and each.top in (None, other.top):
                other.members = sorted((*each.members, *other.members))
                other.given |= each.given
            if each.top == other.top or (fed and each.top is None):
                kept.remove(each)
                break
    return kept


def _first(turn: Turn, value: int, of: dict[int, Update]) -> Update | None:
    """The update nearest to a value on its way back to the gradients."""
    ahead, seen = [value], {value}
    while ahead:
        each = ahead.pop(0)
        position = turn.made_of.get(each)
        if position is None:
            continue
        if position in of:
            return of[position]
        for read in turn.arithmetic[position].reads:
            if read not in seen and turn.taint.get(read):
                seen.add(read)
                ahead.append(read)
    return None


def _added(turn: Turn, value: int, before: int | None) -> float | None:
    """The largest entry of what was added to a leaf to make its new value, None if it was made otherwise."""
    for _ in range(6):
        position = turn.made_of.get(value := _taken(turn, value))
        if position is None:
            return None
        each = turn.arithmetic[position]
        if before in each.reads and each.name in ("add", "sub") and len(each.reads) == 2:
            other = next((read for read in each.reads if read != before), None)
            return turn.cells[other].peak if other is not None else None
        tainted = [read for read in each.reads if turn.taint.get(read)]
        if len(tainted) != 1 or len(each.reads) != 1:
            return None
        value = tainted[0]
    return None


def _rate(turn: Turn, update: Update) -> float | None:
    """The learning rate: what the optimizer's last multiplication of a whole tensor by one number multiplies by."""
    found: list[float] = []
    for position in sorted(update.members, reverse=True):
        each = turn.arithmetic[position]
        if each.name not in ("mul", "neg") or not each.makes or not turn.taint.get(each.makes[0]):
            continue
        numbers = [abs(n) for n in each.args.values() if isinstance(n, (int, float)) and not isinstance(n, bool)]
        scalars = [turn.cells[r] for r in each.reads if not turn.taint.get(r) and turn.cells[r].shape == ()]
        whole = [_cast_from(turn, cell) for cell in scalars]
        if "bool" in whole and any(cell.peak == 0.0 for cell in scalars):  # there is no update in this step
            return None
        if any("float" not in dtype for dtype in whole):
            continue
        if len(numbers) == 1 and len(each.reads) == 1:
            found.append(numbers[0])
            break
        if len(scalars) == 1 and len(each.reads) == 2 and scalars[0].peak is not None:
            found.append(scalars[0].peak)
            break
    return found[0] if found else None


def _cast_from(turn: Turn, cell: Cell) -> str:
    """The type that a number was cast from, else its own."""
    position = turn.made_of.get(cell.id)
    each = turn.arithmetic[position] if position is not None else None
    return turn.cells[each.reads[0]].dtype if each is not None and each.name == "to" and each.reads else cell.dtype


def _end(turn: Turn, update: Update) -> Line | None:
    """The line of the last work on what an update gave."""
    made = {value for position in update.members for value in turn.arithmetic[position].makes}
    line = None
    for each in turn.arithmetic:
        if made.intersection(each.reads) and (each.id > update.index or each.applying):
            made.update(each.makes)
            line = _line(each)
    return line


def _unmerged(turn: Turn, found: list[Update]) -> list[Update]:
    """New parameters that were computed by hand, in a step that leaves all as they were."""
    entered = set(turn.entered.values())
    made: dict[Line | None, Update] = {}
    for each in turn.arithmetic:
        if each.optimizing or each.name not in ("add", "sub") or len(each.reads) != 2 or not each.makes:
            continue
        old, other = each.reads if each.reads[0] in entered else each.reads[::-1]
        shape = turn.cells[each.makes[0]].shape
        if old in entered and turn.taint.get(other) and not turn.taint.get(old) and turn.cells[old].shape == shape:
            if turn.cells[old].source is None:
                continue
            line = _line(each)
            update = made.setdefault(line, Update(each.id, line, by_hand=True))
            update.index, update.given = max(update.index, each.id), update.given | turn.taint[other]
    return [] if any(update.top is not None for update in found) else list(made.values())
