"""Modes: in which mode normalizations and dropouts ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smokestep.backends.jax.cells import Turn
from smokestep.evidence.flow import Graph
from smokestep.evidence.modes import Modes


def evidence(turns: Sequence[Turn], graphs: Sequence[Graph], names: Any, leaves: Mapping[Any, Any]) -> Modes:
    """What is known of the modes of all steps."""
    return Modes((), ())
