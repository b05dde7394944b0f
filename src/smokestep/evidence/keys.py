"""Keys: every use of a random key, where randomness is a value that is handed about (JAX).

A key is known by its bits, told as a whole number: what two calls draw from equal bits is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Use:
    """One use of one key. `kind`: numbers were drawn from it ("draw"), or it was split. `name`: the function that did.

    `shape`: of what was drawn. `module`: the path of the layer that drew, "" if none did. `index` orders all uses.
    """

    index: int
    step: int
    key: int
    kind: Literal["draw", "split"]
    name: str
    shape: tuple[int, ...] = ()
    line: Line | None = None
    caller: Line | None = None
    module: str = ""
    turn: str = ""  # which of a training's steps


@dataclass(frozen=True, slots=True)
class Keys:
    """Every use of a key in the recorded steps, in order; `seen` is False where keys are not followed."""

    uses: tuple[Use, ...] = ()
    seen: bool = False

    @classmethod
    def gather(cls, world: World, of: Of) -> Keys:
        """Taken from the recorded run."""
        return world.recording().keys
