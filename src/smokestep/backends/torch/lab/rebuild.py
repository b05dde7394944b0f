"""Rebuild: the training built twice with one seed, and one step of each, compared bit for bit.

Both are thrown away. Calls that ask the system for a seed are heard while they are built and run.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from smokestep.backends.torch import frames
from smokestep.backends.torch.events import patch
from smokestep.backends.torch.lab.leaves import leaves, same
from smokestep.backends.torch.lab.roundtrip import SEEDS, trained
from smokestep.backends.torch.lab.roundtrip import generators as private
from smokestep.backends.torch.lab.steps import Rerun
from smokestep.backends.torch.snapshot import same_state
from smokestep.evidence.roundtrip import Rebuilt

Tensor = torch.Tensor
SHOWN = 3


@contextmanager
def asking() -> Iterator[dict[str, Any]]:
    """Hears, by the user's line, the calls that seed a generator from the system."""
    heard: dict[str, Any] = {}

    def listen(stack: ExitStack, owner: Any, name: str, shown: str, always: bool = False) -> None:
        def call(original: Any, *args: Any, **kwargs: Any) -> Any:
            if always or not [each for each in (*args, *kwargs.values()) if each is not None]:
                line = frames.position()[1]
                if line is not None:
                    heard.setdefault(shown, line)
            return original(*args, **kwargs)

        patch(stack, owner, name, call)

    with ExitStack() as stack:
        listen(stack, random, "seed", "random.seed()")
        listen(stack, os, "urandom", "os.urandom", always=True)
        listen(stack, torch, "seed", "torch.seed()", always=True)
        if numpy := sys.modules.get("numpy"):
            listen(stack, numpy.random, "default_rng", "np.random.default_rng()")
            listen(stack, numpy.random, "seed", "np.random.seed()")
        yield heard


def rebuilt(rerun: Rerun) -> Rebuilt:
    """Build it twice, and make one step of each."""
    rerun.building()
    seen = []
    with asking() as heard:
        for _ in range(2):
            with rerun.fresh(seed=SEEDS[0]) as fresh:
                found = leaves(fresh.training)
                tensors = {
                    name: each.copy() for name, each in found.items() if not isinstance(each.value, (int, float))
                }
                generators = {name: state for name, (_, state) in private(fresh.training).items()}
                losses: list[float] = []
                for name in fresh.training.steps:
                    done = fresh.step(name=name)
                    if done.error:
                        return Rebuilt(skipped=f"a step of a training built afresh raised {done.error}")
                    losses += done.losses
                seen.append((tensors, generators, losses, trained(fresh.training)))
    (one, mine, first, ones), (other, theirs, second, others) = seen
    apart = [name for name, value in one.items() if name in other and not same(value, other[name])]
    if not apart and any(each.is_cuda for each in ones.values()):
        return Rebuilt(skipped="on a GPU the order of a sum is not fixed, so that two runs may differ by rounding")
    parameters = [name for name, value in ones.items() if name in others and not same(value, others[name])]
    losses_apart = [(a, b) for a, b in zip(first, second, strict=False) if a != b and (a == a or b == b)]
    return Rebuilt(
        tensors=tuple(apart[:SHOWN]),
        generators=tuple(each for each, state in mine.items() if each in theirs and not _alike(state, theirs[each])),
        parameters=tuple(parameters[:SHOWN]),
        losses=losses_apart[0] if losses_apart else (),
        unseeded=tuple((name, frames.line_of(line)) for name, line in heard.items()),
    )


def _alike(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) if isinstance(one, dict) else same_state(one, other)
