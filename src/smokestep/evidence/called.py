"""Called: the graphs of the recorded steps with the calls of the user's models: what each was given, and what it gave.

Those of the flow, unless the backend keeps them apart: where models are functions, the flow has the call that is read
off the graph, and a module that was called besides is told here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.evidence.flow import Flow, Graph

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Called:
    """The graphs of the recorded steps, one each, for checks that judge the calls of models."""

    graphs: tuple[Graph, ...]

    @classmethod
    def gather(cls, world: World, of: Of) -> Called:
        """Taken from the recorded run."""
        apart = world.recording().called
        return cls((apart or of(Flow)).graphs)
