"""Keys: every use of a random key, where randomness is a value that is handed about (JAX).

A key is known by its bits, told as a whole number: what two calls draw from equal bits is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from smokestep.evidence.flow import Graph
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
    own: tuple[Line, ...] = ()  # the lines of the user's own that led to it, innermost first
    made: int = -1  # the value of the flow graph that came of it, -1 if that is not known


@dataclass(frozen=True, slots=True)
class Keys:
    """Every use of a key in the recorded steps, in order; `seen` is False where keys are not followed."""

    uses: tuple[Use, ...] = ()
    seen: bool = False

    @classmethod
    def gather(cls, world: World, of: Of) -> Keys:
        """Taken from the recorded run."""
        return world.recording().keys


def twice(uses: list[Use], graph: Graph | None) -> tuple[Use, Use] | None:
    """Of the uses of one key, one and another that draws from it: by another call, or onto what the first one drew."""
    for at, use in enumerate(uses):
        for before in uses[:at]:
            alike = (before.line, before.name, before.shape, before.module) == (
                use.line,
                use.name,
                use.shape,
                use.module,
            )
            chained = before.own != use.own and graph is not None and _meets(graph, before.made, use.made)
            if (use.kind == "draw" or before.kind == "draw") and (chained or not alike):
                return (before, use) if use.kind == "draw" else (use, before)
    return None


def _meets(graph: Graph, first: int, second: int) -> bool:
    """Whether what was drawn second is first combined with something that was made of what was drawn before.

    The same noise in two networks side by side, and the same crop of an image and its mask, are drawn so on purpose.
    """
    if first < 0 or second < 0 or first == second:
        return False
    reached, alone, ahead = graph.forward_of([first]), {second}, [second]
    while ahead:
        for op in graph.readers().get(ahead.pop(), ()):
            others = [value for value in op.reads if value not in alone]
            if any(value in reached for value in others):
                return True
            if not others:
                new = [value for value in op.makes if value not in alone]
                alone.update(new)
                ahead += new
    return False
