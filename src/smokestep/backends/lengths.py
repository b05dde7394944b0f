"""Lengths: how the entries of a shorter dimension may lie in a longer one, when a sequence in it was cut or padded."""

from __future__ import annotations

from collections.abc import Sequence

MARGIN = 4  # entries that a model may put around a sequence: class tokens, begin and end marks
WAYS = 16  # ways to lay two arrays side by side that are tried


def ways_of(short: int, long: int, size: int, kept: tuple[int, ...]) -> list[Sequence[int] | None]:
    """The indices of a longer dimension that a shorter one may have; [None] where they are equally long."""
    if short == long:
        return [None]
    times, rest = divmod(long - short, size - len(kept))
    around = short // times - len(kept) if times > 0 and not rest and short % times == 0 else -1
    if not 0 <= around <= MARGIN:
        return []
    ways: list[Sequence[int] | None] = []
    whole = size + around  # one sequence with what stands around it; folded with others, `times` of them
    for front in range(around + 1):
        one = [*range(front), *(front + each for each in kept), *range(front + size, whole)]
        ways.append([copy * whole + each for copy in range(times) for each in one])
        if times > 1:
            ways.append([each * times + copy for each in one for copy in range(times)])
    return ways
