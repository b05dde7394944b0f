"""Randomness: what the training drew from each global random generator, from one backward pass to the next.

States are compared bit for bit and told as whole numbers; equal numbers are equal states of one generator, and what is
drawn from equal states by equal calls is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Turn:
    """One global generator ("torch", "NumPy", "Python", "CUDA 0") between the last backward pass of the step before
    and that of this step (`name`: which of a training's steps, "" if it has one).

    `draws`: the states between which it moved because numbers were drawn, in order; left out is what was drawn with
    gradient mode off (an evaluation), and what an earlier state was put back after. `line`: where it was last seeded,
    or given a state, before numbers were drawn from it; None if that was not seen.
    """

    step: int
    generator: str
    draws: tuple[tuple[int, int], ...]
    line: Line | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Randomness:
    """Every turn of every generator; the first step of a kind has none, as what came before it is not known."""

    turns: tuple[Turn, ...] = ()

    def streams(self) -> tuple[tuple[Turn, ...], ...]:
        """The turns of each generator in each kind of step, in order."""
        groups: dict[tuple[str, str], list[Turn]] = {}
        for turn in self.turns:
            groups.setdefault((turn.name, turn.generator), []).append(turn)
        return tuple(map(tuple, groups.values()))

    @classmethod
    def gather(cls, world: World, of: Of) -> Randomness:
        """Taken from the recorded run."""
        return world.recording().randomness
