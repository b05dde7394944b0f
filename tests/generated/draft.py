"""A program in the making: what was chosen so far, and the lines written so far.

Every choice goes through `pick`, which Hypothesis or a seeded generator gives; the first option is the simplest, so
that Hypothesis shrinks towards it. A line that carries the fault ends with `MARK`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from .faults import FAULTS, Fault

T = TypeVar("T")
MARK = "  # MARK"


class Pick(Protocol):
    """Chooses one of several options."""

    def __call__(self, options: Sequence[T], /) -> T: ...


@dataclass(slots=True)
class Draft:
    """The choices that more than one part of a program must know, and its lines by where they belong."""

    pick: Pick
    fault: str
    task: str
    start: str
    depth: int
    at: int
    batch: int
    time: int
    padded: bool = False
    tied: bool = False
    dry_run: bool = False  # lazy layers take their shape from a first call
    late_softmax: bool = False  # the softmax that is too much stands in the step
    low: bool = False  # may compute in low precision
    eval_first: bool = False  # the model is put into evaluation mode before the loop, not in it
    width: int = 0  # of the input
    outside: list[str] = field(default_factory=list)  # functions and classes before the model
    built: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    path: str = ""  # of the layer that is broken, as seen from `training`
    made: str = ""  # what builds that layer

    @property
    def causal(self) -> bool:
        """No position may see a later one."""
        return self.task == "next"

    @property
    def kind(self) -> Fault | None:
        """The fault's entry in the table."""
        return FAULTS.get(self.fault)

    def yes(self) -> bool:
        """One of two choices; False is the simpler."""
        return self.pick([False, True])

    def has(self, *faults: str) -> bool:
        """Whether the fault is one of these."""
        return self.fault in faults


def indented(lines: Iterable[str], by: int = 1) -> list[str]:
    """The lines, moved to the right."""
    return ["    " * by + line if line else line for line in lines]
