"""Depth: how large the gradient and the results are at each layer of the longest plain chain of layers, step by step.

A chain follows the dataflow, each weight once, and ends where something goes round the next layer (a residual branch, a
gate, one of attention's projections): what such a layer gets says nothing about the layers before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smokestep.evidence.flow import Flow, Graph
from smokestep.evidence.steps import Steps
from smokestep.evidence.units import Layer, layer_of

if TYPE_CHECKING:
    from smokestep.evidence import Of
    from smokestep.world import World


@dataclass(frozen=True, slots=True)
class Course:
    """How a number changes along a chain: last over first, and between which place and its next it changes most in that
    direction, with the share of the whole change, counted in powers, that lies there."""

    factor: float
    at: int
    share: float

    @classmethod
    def along(cls, numbers: Sequence[float]) -> Course:
        """The course of some positive numbers, two or more."""
        parts = [math.log(other / one) for one, other in zip(numbers, numbers[1:], strict=False)]
        whole = sum(parts)
        at = max(range(len(parts)), key=lambda index: parts[index] * whole)
        return cls(numbers[-1] / numbers[0], at, parts[at] / whole if whole else 1.0)


@dataclass(frozen=True, slots=True)
class Chain:
    """The layers of one step from the input to the loss, with the largest entry of each one's result and of the
    gradient of its weight at the update."""

    step: int
    layers: tuple[Layer, ...]
    gradients: tuple[float, ...]
    peaks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Depth:
    """One chain a step, the longest; none in a step in which no two layers got gradient."""

    chains: tuple[Chain, ...] = ()

    @classmethod
    def gather(cls, world: World, of: Of) -> Depth:
        """Derived from the graphs and from what the parameters got."""
        return measure(of(Steps), of(Flow))


def measure(steps: Steps, flow: Flow) -> Depth:
    """The longest plain chain of layers that one optimizer trains, in every step."""
    holds = {each.name: each.optimizers for each in steps.parameters}
    chains = []
    for graph in flow.graphs:
        got = {
            move.parameter: move.gradient
            for move in steps.movements
            if move.step == graph.step and move.gradient is not None and 0.0 < move.gradient < math.inf
        }
        peaks = {}
        layers = []
        for layer in _plain(graph, _longest(graph, got)):
            peaks[layer.weight] = max((graph.values[made].peak or 0.0 for made in layer.op.makes), default=0.0)
            if 0.0 < peaks[layer.weight] < math.inf:
                layers.append(layer)
        layers = [layer for layer in layers if holds.get(layer.weight) == holds.get(layers[-1].weight)]
        if len(layers) > 1:
            names = [layer.weight for layer in layers]
            found = tuple(got[name] for name in names), tuple(peaks[name] for name in names)
            chains.append(Chain(graph.step, tuple(layers), *found))
    return Depth(tuple(chains))


def _longest(graph: Graph, got: Mapping[str, float]) -> tuple[Layer, ...]:
    """The longest chain of different layers on the way to a root, from its first to its last."""
    before: dict[int, tuple[tuple[Layer, ...], frozenset[str]]] = {}
    best: tuple[tuple[Layer, ...], frozenset[str]] = ((), frozenset())
    needed = graph.backward_of(graph.roots) if graph.roots else frozenset[int]()
    for op in graph.ops:
        if needed.isdisjoint(op.makes):
            continue
        chains = [before[read] for read in op.reads if read in before]
        chain = max(chains, key=lambda each: len(each[0]), default=((), frozenset[str]()))
        layer = layer_of(graph, op)
        if layer is not None and layer.weight in got and layer.weight not in chain[1]:
            chain = (*chain[0], layer), chain[1] | {layer.weight}
        before.update(dict.fromkeys(op.makes, chain))
        if len(chain[0]) > len(best[0]):
            best = chain
    return best[0]


def _plain(graph: Graph, chain: Sequence[Layer]) -> Sequence[Layer]:
    """The longest stretch of a chain in which everything computed from one layer's result passes the next layer."""
    ahead: dict[int, frozenset[int]] = {}  # for a value, the chain's ops that every way from it to a root passes
    own = {layer.op.id for layer in chain}
    for op in reversed(graph.ops):
        ways = [ahead[made] for made in op.makes if made in ahead]
        if not graph.roots.isdisjoint(op.makes):
            ways.append(frozenset())
        if ways:
            passed = frozenset.intersection(*ways) | ({op.id} & own)
            for read in op.reads:
                ahead[read] = ahead[read] & passed if read in ahead else passed
    best: list[Layer] = []
    stretch: list[Layer] = []
    for layer in chain:
        if stretch and layer.op.id not in ahead.get(stretch[-1].op.makes[0], ()):
            stretch = []
        stretch.append(layer)
        best = list(stretch) if len(stretch) >= len(best) else best
    return best
