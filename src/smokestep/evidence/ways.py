"""Ways: the same step from the same seed, once as it is written (compiled, fused) and once plainly, and how far they
differ.

Only what is compared bit by bit with itself first is compared with anything else: a step that draws random numbers, or
gives other numbers when it is repeated, says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Apart:
    """How far one thing differs between the two: the norm of the difference, as a share of the norm.

    `what`: "loss", "gradient" or "update". `limit`: the share that rounding in its type explains.
    """

    what: str
    name: str
    share: float
    limit: float


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which the training departs from the plain one: "compiled", or the word of its optimizer ("fused").

    `why` is the reason where the two could not be compared. `losses`: as written, and plainly. `line`: where the
    training is told to go this way. `subject`: the optimizer.
    """

    kind: str
    line: Line | None = None
    subject: str = ""
    why: str = ""
    losses: tuple[float, float] | None = None
    apart: tuple[Apart, ...] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """Every way that was found. `why`: this training is not ours to run."""

    experiment: ClassVar[str] = "one step as written and one plainly"
    found: tuple[Way, ...] = ()
    why: str = ""

    @classmethod
    def gather(cls, world: World, of: Of) -> Ways:
        """By one step each, on trainings of their own."""
        from smokestep.world import NotOffered

        try:
            return cls(world.lab().ways())
        except NotOffered as reason:
            return cls(why=str(reason))
