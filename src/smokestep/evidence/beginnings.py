"""Beginnings: what parameters held before the first recorded step, where that decides how they can train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Beginning:
    """One parameter of two dimensions or more whose slices began all the same.

    `dims`: the dimensions (0, 1) along which every slice is bit for bit the first. `spreads`: per step and dimension,
    the largest distance of a slice of the gradient from the first, beside its largest entry, at the update; None where
    the gradient was zero or absent, () in a step without update. `line`: the line that filled it, or built its layer.
    """

    parameter: str
    dims: tuple[int, ...]
    spreads: tuple[tuple[float | None, ...], ...] = ()
    line: Line | None = None

    def apart(self, dim: int) -> tuple[float, ...]:
        """The distances along one dimension, in the steps in which there was gradient."""
        at = self.dims.index(dim)
        return tuple(spread for step in self.spreads if step and (spread := step[at]) is not None)


@dataclass(frozen=True, slots=True)
class Copies:
    """Two parameters that began bit for bit the same, and not constant. `still`: they are the same after the last
    step. `shared`: they lie in the same memory, though they are two. `line`: the copying, or the line that builds
    the second."""

    first: str
    second: str
    still: bool
    shared: bool = False
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Beginnings:
    """The parameters whose beginning says something."""

    alike: tuple[Beginning, ...] = ()
    copies: tuple[Copies, ...] = ()

    @classmethod
    def gather(cls, world: World, of: Of) -> Beginnings:
        """Taken from the recorded run."""
        return world.recording().beginnings
