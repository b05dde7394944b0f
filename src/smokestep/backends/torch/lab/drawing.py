"""Drawing: the random generators set to one state for a trial, and put back after it.

Seeding anew for every trial would cost more than a small trial itself, so the states are taken once for each seed.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from smokestep import privacy
from smokestep.backends.torch.snapshot import same_state
from smokestep.backends.torch.state import device_generators

States = list[tuple[Any, Any]]  # what sets a generator, and the state


@dataclass(slots=True)
class Drawn:
    """Whether random numbers were drawn in the block; filled when it ends."""

    drew: bool = False


_seeded: dict[tuple[int, int], States] = {}


def states() -> States:
    """The states of all random generators in use, each with what sets it."""
    """The state of every generator of the process, each with the function that sets it."""
    found: States = [(random.setstate, random.getstate()), (torch.set_rng_state, torch.get_rng_state())]
    if numpy := sys.modules.get("numpy"):
        found.append((numpy.random.set_state, numpy.random.get_state()))
    return found + [(module.set_rng_state_all, module.get_rng_state_all()) for _, module in device_generators()]


@contextmanager
def drawing(seed: int) -> Iterator[Drawn]:
    """Run the block with all generators seeded; they are afterwards as they were."""
    before, drawn = states(), Drawn()
    key = seed, len(before)
    if key not in _seeded:
        privacy.seed_everything(seed)
        _seeded[key] = states()
    for put, state in _seeded[key]:
        put(state)
    try:
        yield drawn
    finally:
        now = states()
        drawn.drew = not all(same_state(a, b) for (_, a), (_, b) in zip(now, _seeded[key], strict=False))
        for put, state in before:
            put(state)
