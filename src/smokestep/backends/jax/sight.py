"""Sight: what a loop's own code holds at the place where it stands: the trees among its variables that a step trains.

Variables are read, never written. A tree counts if it holds what is differentiated, or the state of an optimizer.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from smokestep.backends.jax import frames, trees

Path = tuple[str, ...]
MOST_FRAMES = 40
WIDE = 20_000  # leaves of one variable


@dataclass(slots=True)
class Sight:
    """The arrays that a step trains with, each once, by path; `others`: further paths to the same array."""

    leaves: dict[Path, trees.Leaf] = field(default_factory=dict)
    others: dict[int, list[Path]] = field(default_factory=dict)
    tops: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    everywhere: dict[Path, Any] = field(default_factory=dict)  # every path, with the array there


def site() -> tuple[tuple[str, int], ...]:
    """The lines of the user's own that run now, innermost first: they tell one place of a loop from another."""
    found = [(each.f_code.co_filename, each.f_lineno) for each in _stack() if _kind(each) == frames.USER]
    if not found:
        found = [(each.f_code.co_filename, each.f_lineno) for each in _stack() if _kind(each) != frames.SKIP][:1]
    return tuple(found[: frames.DEPTH])


def _stack() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    count = 0
    while frame is not None and count < frames.LONG * 2:
        yield frame
        frame, count = frame.f_back, count + 1


def _kind(frame: FrameType) -> int:
    return frames.kind_of_file(frame.f_code.co_filename)


def variables() -> dict[str, Any]:
    """What the code that runs now can name: of its functions from the innermost on, then of its modules."""
    stack = list(_stack())
    own = [place for place, frame in enumerate(stack) if _kind(frame) == frames.USER]
    last = own[-1] + 1 if own else len(stack)
    mine = [frame for frame in stack[:last] if _kind(frame) != frames.SKIP][:MOST_FRAMES]
    holders: dict[str, trees.Holder] = {}
    seen: set[int] = set()
    spaces: dict[int, Mapping[str, Any]] = {}
    for frame in mine:
        if frame.f_locals is not frame.f_globals:
            _look(frame.f_locals, holders, seen)
        if _kind(frame) == frames.USER:
            spaces[id(frame.f_globals)] = frame.f_globals
    for space in spaces.values():
        _look(space, holders, seen)
    return {name: holder.read() for name, holder in holders.items()}


def _look(space: Mapping[str, Any], holders: dict[str, trees.Holder], seen: set[int]) -> None:
    for name, value in list(space.items()):
        if not name.startswith("__"):
            trees._place(name, trees.Holder(name, _constant(value), lambda new: None), holders, seen, 3)


def _constant(value: Any) -> Any:
    return lambda: value


def seen(differentiated: Sequence[Any], given: Sequence[Any], known: Collection[str] = ()) -> Sight:
    """What is in sight of a step that differentiates these arrays, and was called with those; of variables that are
    known to hold what is trained, everything."""
    wanted, called = {id(each) for each in differentiated}, {id(each) for each in given}
    found: list[tuple[bool, int, list[trees.Leaf], dict[Path, list[str]]]] = []
    for name, value in variables().items():
        role: trees.Role = "statistic" if name in trees.STATISTICS else "leaf"
        mine = list(itertools.islice(trees.leaves(value, (name,), role), WIDE))
        tops = trees.optimizers(value, (name,))
        arrays = {id(leaf.value) for leaf in mine}
        if (
            name in known
            or arrays & wanted
            or tops
            or (arrays & called and any(leaf.role == "statistic" for leaf in mine))
        ):
            found.append((bool(tops and arrays & wanted), len(mine), mine, tops))
    sight = Sight()
    for _, _, mine, tops in sorted(found, key=lambda each: (not each[0], -each[1])):
        fresh = False
        for leaf in mine:
            paths = sight.others.setdefault(id(leaf.value), [])
            paths.append(leaf.path)
            sight.everywhere[leaf.path] = leaf.value
            if len(paths) == 1:
                sight.leaves[leaf.path] = leaf
                fresh = True
        if fresh:
            sight.tops.update({top: tuple(classes) for top, classes in tops.items()})
    return sight
