"""Settings: what an optimizer was told, read off the arithmetic of its update, for Optax keeps it in closures.

Of Adam's family what the two averages are multiplied by; of those that divide by a root what is added to it, where
that is done in float16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from smokestep.backends.jax import frames
from smokestep.backends.jax.cells import Arithmetic, Turn
from smokestep.backends.jax.trees import Leaf

AVERAGES = {"mu": 0, "nu": 1}  # the states of Adam's averages, as Optax calls them
MOMENTS = {"update_moment": 0, "update_moment_per_elem_norm": 1}  # the functions of Optax that move them
DIGITS = 6  # what is left of a number that was put into the program as float32


@dataclass(frozen=True, slots=True)
class Settings:
    """What was read of one optimizer: `betas` of its averages, () if they were not; `epsilon`: what is added to a root
    in float16, None where nothing is; `roots`: whether any addition to a root was seen."""

    betas: tuple[float, ...] = ()
    epsilon: float | None = None
    roots: bool = False


def settings(assembly: Any, held: Any) -> Settings:
    """What is read of one optimizer, of all its updates."""
    betas: tuple[set[float], set[float]] = set(), set()
    added: dict[str, list[float]] = {}
    for turn in assembly.turns:
        rooted = {read for each in turn.arithmetic if each.name == "rsqrt" for read in each.reads}
        for update in held.updates.get(turn.step, ()):
            for position in update.members:
                each = turn.arithmetic[position]
                if (found := _kept(turn, each, assembly.leaves)) is not None:
                    place, share = found
                    betas[place].add(share)
                for kind, number in _added(turn, each, rooted):
                    added.setdefault(kind, []).append(number)
    sure = all(len(each) == 1 for each in betas)
    half = added.get("float16", ())
    return Settings(tuple(next(iter(each)) for each in betas) if sure else (), min(half, default=None), bool(added))


def _kept(turn: Turn, each: Arithmetic, leaves: Mapping[Any, Leaf]) -> tuple[int, float] | None:
    """Which of Adam's averages this multiplies by which number, if it does."""
    if each.name != "mul":
        return None
    whole = [read for read in each.reads if turn.cells[read].shape]
    numbers = _numbers(turn, each)
    if len(whole) != 1 or len(numbers) != 1 or turn.taint.get(whole[0]) or not 0 <= numbers[0] < 1:
        return None
    source = turn.cells[whole[0]].source
    kept = source in leaves and leaves[source].role == "optimizer"
    place = next((AVERAGES[part] for part in source or () if part in AVERAGES), None) if kept else None
    if place is None:
        names = [frame.function.split(".")[0].removeprefix("tree_") for frame in frames.calls(each.path)[0]]
        place = next((MOMENTS[name] for name in names if name in MOMENTS), None)
    return None if place is None else (place, float(f"{numbers[0]:.{DIGITS}g}"))


def _added(turn: Turn, each: Arithmetic, under: Set[int]) -> Iterator[tuple[str, float]]:
    """The number that this adds to a root, or to what a root is taken of, with the type that it is added in."""
    whole = [read for read in each.reads if turn.cells[read].shape and turn.taint.get(read)]
    numbers = _numbers(turn, each)
    if each.name != "add" or len(whole) != 1 or len(numbers) != 1 or not each.makes:
        return
    maker = turn.made_of.get(whole[0])
    rooted = maker is not None and turn.arithmetic[maker].name == "sqrt"
    if rooted or each.makes[0] in under:
        yield turn.cells[each.makes[0]].dtype, abs(numbers[0])


def _numbers(turn: Turn, each: Arithmetic) -> list[float]:
    """The single numbers among what an operation works on: written into the program, or given as an array of one."""
    plain = [n for key, n in each.args.items() if key.isdigit() and isinstance(n, (int, float)) and n == n]
    scalars = [turn.cells[read].peak for read in each.reads if not turn.cells[read].shape]
    return [float(n) for n in plain if not isinstance(n, bool)] + [n for n in scalars if n is not None]
