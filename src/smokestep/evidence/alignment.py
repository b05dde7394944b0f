"""Alignment: losses whose target is one of the model's own arguments, shifted in time, entry by entry.

It is read off the values, so nothing has to be declared; where two shifts fit, or too few entries tell, there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Alignment:
    """One loss of one trial: the target of row j of its prediction is the argument's entry j + `offset`.

    `result` is the loss's value in the flow. Of the argument, `samples` counts the samples (None: it has but one) and
    `time` the positions, `length` of them. Row j is what the model made at its position j + `start`, of `made`.
    `sample` is the sample with the most rows that
    count, `counted` are those, of `rows`. `compared`: how many entries agreed. `whole`: they are whole numbers.
    `wraps`: the targets beyond the end are the argument's beginning.
    """

    trial: int
    result: int
    argument: str
    time: int
    samples: int | None
    offset: int
    start: int
    length: int
    made: int
    rows: int
    sample: int
    counted: tuple[int, ...]
    compared: int
    whole: bool
    wraps: bool = False

    @property
    def shift(self) -> int:
        """How many positions after its own the target of a position lies in the argument: 1 for the next token."""
        return self.offset - self.start


@dataclass(frozen=True, slots=True)
class Alignments:
    """Every alignment of the last recorded step."""

    found: tuple[Alignment, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Alignments:
        """As the backend finds them."""
        return cls(world.lab().aligned())
