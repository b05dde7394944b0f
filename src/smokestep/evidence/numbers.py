"""Numbers: the first operation whose result is not finite, forward and backward, and the health of activations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from smokestep.evidence.flow import Flow
from smokestep.evidence.nonfinite import NotFinite, not_finite_in
from smokestep.evidence.origins import bare, maker_of
from smokestep.evidence.steps import Steps
from smokestep.findings import Line

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation call of the first step that looked unwell there, and what it was in the later ones.

    Over the units of its channel dimension, the share of units that are zero for every sample of every step (`dead`)
    and the least share in any step of entries in the flat part (`saturated`), each in [0, 1]. `entries`: how many a
    unit has in a step. `steps`: in how many it was measured. `value`: what it made in the first.
    """

    step: int
    op: str
    line: Line | None
    module: str
    units: int
    dead: float
    saturated: float
    entries: int = 0
    steps: int = 1
    value: int = -1


@dataclass(frozen=True, slots=True)
class Output:
    """One tensor returned by a root model, with the interval promised for it, if any, and its origin."""

    step: int
    model: str
    index: int
    value: int
    low: float
    high: float
    promised: tuple[float | None, float | None] | None = None
    maker: str = ""
    maker_line: Line | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """Non-finite origins, activations, and the ranges of the outputs. `scaled`: a gradient scaler was in use."""

    not_finite: tuple[NotFinite, ...] = ()
    activations: tuple[Activation, ...] = ()
    outputs: tuple[Output, ...] = ()
    scaled: bool = False

    @classmethod
    def gather(cls, world: World, of: Of) -> Numbers:
        """Ranges and activations as recorded; what made numbers not finite, and the outputs, from the graph."""
        recorded, graphs = world.recording().numbers, {graph.step: graph for graph in of(Flow).graphs}
        outputs = []
        for output in recorded.outputs:
            maker = maker_of(graphs[output.step], output.value) if output.step in graphs else None
            outputs.append(
                replace(output, maker=bare(maker.name), maker_line=maker.line) if maker and not output.maker else output
            )
        steps = of(Steps)
        found = (*recorded.not_finite, *(each for graph in graphs.values() for each in not_finite_in(graph, steps)))
        return replace(recorded, not_finite=found, outputs=tuple(outputs))
