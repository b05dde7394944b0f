"""Numbers: the health of activations, as far as it is seen."""

from __future__ import annotations

from collections.abc import Sequence

from smokestep.backends.jax.cells import Turn
from smokestep.evidence.flow import Graph
from smokestep.evidence.numbers import Numbers


def evidence(turns: Sequence[Turn], graphs: Sequence[Graph]) -> Numbers:
    """What is known of the activations of all steps."""
    return Numbers()
