"""Descent: what the first update does to the loss that it was made for, when only a little of it is taken.

A step that is too long may raise the loss although it goes the right way; a hundredth of it does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.learning import no_floor
from smokestep.evidence.losses import Losses
from smokestep.evidence.steps import Steps
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World

SHARES = (0.1, 0.01)  # of the update
CUTS = frozenset("detach detach_ data".split())


@dataclass(frozen=True, slots=True)
class Descent:
    """The loss before the update and at each of SHARES of it, under the same random draws.

    `why` is the reason where it was not tried, all else is then empty. `loss`, `line`: the recognised loss and where it
    is computed; `update`: the line that updates.
    """

    experiment: ClassVar[str] = "a little of the first update taken"
    why: str = ""
    losses: tuple[float, ...] = ()
    loss: str = ""
    line: Line | None = None
    update: Line | None = None

    @classmethod
    def gather(cls, world: World, of: Of) -> Descent:
        """By three steps of a training of its own."""
        from smokestep.world import NotOffered

        graph, steps = of(Flow).graphs[-1], of(Steps)
        calls = [c for c in of(Losses).calls if c.step == graph.step and c.grad and c.reaches_root]
        if why := no_floor(graph, calls) or _replaced(graph):
            return cls(why)
        found: list[float] = []
        try:
            with world.lab().fresh() as fresh:
                for share in (0.0, *SHARES):
                    if found:
                        fresh.along(share)
                    did = fresh.step()
                    if did.error or not did.losses or not math.isfinite(did.losses[0]):
                        return cls(f"its step could not be made again: {did.error or 'no finite loss'}")
                    if not found and not fresh.travelled():
                        return cls("its first step moves no weight")
                    found.append(did.losses[0])
        except NotOffered as reason:
            return cls(str(reason))
        updates = steps.of("update", "manual")
        return cls("", tuple(found), calls[0].name, calls[0].user_line, updates[-1].line if updates else None)


def _replaced(graph: Graph) -> str:
    """Why the gradient may not be the loss's own, on purpose; "" if nothing speaks for that."""
    if any(op.outer for op in graph.ops):
        return "a custom function may have a gradient of its own"
    needed = graph.backward_of(graph.roots)
    if any(op.name in CUTS and not needed.isdisjoint(op.makes) for op in graph.ops):
        return "a part of the loss is detached, so that its gradient need not be the loss's own"
    return ""
