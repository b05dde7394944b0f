"""Records small steps, so that a test can state one fact about the evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import smokestep
from smokestep.backends.torch import open_world
from smokestep.evidence.flow import Graph, Op
from smokestep.privacy import guard
from smokestep.world import Recording


def record(step: Callable[..., Any], *batch: Any, steps: int = 1, **keywords: Any) -> Recording:
    """What is recorded of this step, called with the batch if one is given; raises what the step raises."""
    with guard(), open_world(lambda: smokestep.Training(step, *batch, **keywords), seed=0, steps=steps) as world:
        recording = world.recording()
        if error := world.raised():
            raise error
        return recording


def graph(step: Callable[..., Any], *batch: Any, **keywords: Any) -> Graph:
    """The dataflow of the last recorded step."""
    return record(step, *batch, **keywords).flow.graphs[-1]


def op(found: Graph, name: str, nth: int = 0) -> Op:
    """The nth operation of this name."""
    named = [each for each in found.ops if each.name == name]
    assert len(named) > nth, f"no {name} among {[each.name for each in found.ops]}"
    return named[nth]


def names(found: Graph) -> list[str]:
    """The names of all operations, in order."""
    return [each.name for each in found.ops]


def leads(found: Graph, source: str, sink: str | None = None, *, by_gradient: bool = False) -> bool:
    """Whether what the operation `source` made reaches what `sink` made (the backward roots if none is named)."""
    ends = found.roots if sink is None else frozenset(op(found, sink).makes)
    through = found.passes_gradient if by_gradient else lambda each: True
    return not found.forward_of(op(found, source).makes, through).isdisjoint(ends)


def parameter(*shape: int) -> torch.nn.Parameter:
    """A trainable tensor of random numbers."""
    return torch.nn.Parameter(torch.randn(*shape))
