"""Loading: what was loaded into modules without insisting that it fits, and which states are kept without a copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Load:
    """One call of `load_state_dict(strict=False)`: how many of the given keys it found a place for, one key of the
    module that was not given, and one that was given and has no place. `later`: something was loaded into it
    afterwards, or into another module from the same line."""

    module: str
    given: int
    matched: int
    missing: str = ""
    unexpected: str = ""
    later: bool = False
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A `state_dict` made in a step, still held after it, whose tensors are the parameters themselves. `trains`: an
    optimizer holds them."""

    module: str
    tensors: int
    trains: bool
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Loading:
    """What was heard, from the building of the training on."""

    loads: tuple[Load, ...] = ()
    kept: tuple[Kept, ...] = ()
    live: bool = False

    @classmethod
    def gather(cls, world: World, of: Of) -> Loading:
        """Taken from the recorded run."""
        return world.recording().loading
