"""Declared: what the user promised in `Training` (roles, ranges, task); empty when nothing was declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Declared:
    """The declarations, resolved to full parameter and buffer names.

    `trains` and `untouched` map a step's name ("" when there is one step) to the names it declares. `changed` maps
    a step's name to the parameters and buffers that it really changed, bit for bit, running statistics left out;
    `changed_statistics` to the running statistics it changed. `order`: the step names, one for each recorded step.
    """

    trains: Mapping[str, frozenset[str]] = field(default_factory=dict)
    untouched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changed_statistics: Mapping[str, frozenset[str]] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    task: str | None = None
    causal: bool | None = None
    batch_dim: int | None = None  # -1: no dimension counts samples

    @classmethod
    def gather(cls, world: World, of: Of) -> Declared:
        """Taken from the recorded run."""
        return world.recording().declared
