"""Keeping: whatever a trial changes is put back: variables, random generators; and what it draws is set by a seed."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from smokestep import privacy
from smokestep.backends.tensorflow import state

SEEDS = "seed_generator_state"


@dataclass(slots=True)
class Kept:
    """What a trial had changed, by name, and whether it drew random numbers; filled when the block ends."""

    names: list[str] = field(default_factory=list)
    drew: bool = False


@contextmanager
def kept(variables: Sequence[tuple[str, Any]], seed: int | None) -> Iterator[Kept]:
    """Run the block in silence, with every random generator seeded; all is afterwards as it was."""
    found = Kept()
    before = [(name, each, np.array(each.numpy())) for name, each in variables]
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if seed is not None:
            stack.enter_context(privacy.guard(settings=False))
            privacy.seed_everything(seed)
            for name, each, _ in before:
                if name.endswith(SEEDS):
                    each.assign(tf.cast([seed + 1, 0], each.dtype))
            seeded = [(each, np.array(each.numpy())) for name, each, _ in before if name.endswith(SEEDS)]
            drawn = state.global_state()
        try:
            yield found
        finally:
            if seed is not None:
                found.drew = any(not np.array_equal(each.numpy(), was) for each, was in seeded) or any(
                    key.endswith("RNG") and not state._equal(value[0], drawn[key][0])
                    for key, value in state.global_state().items()
                    if key in drawn
                )
            for name, each, was in before:
                now = each.numpy()
                if now.tobytes() != was.tobytes():
                    each.assign(was)
                    if not name.endswith(SEEDS):
                        found.names.append(name)
