"""Rebuild: the training built twice with one seed, and one step of each, compared bit for bit; both are thrown away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smokestep import privacy
from smokestep.backends.jax import trees
from smokestep.backends.jax.declarations import batch_arrays
from smokestep.backends.jax.lab.asking import asking
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.backends.jax.lab.rerun import Listener, stepped
from smokestep.backends.jax.naming import PLAIN
from smokestep.evidence.roundtrip import Rebuilt
from smokestep.training import Training

SHOWN = 3
BUILT = "a training handed over as it is cannot be built afresh: hand over a function that builds it"
ROUNDING = "on an accelerator the order of a sum is not fixed, so that two runs may differ by rounding"


def rebuilt(factory: Callable[[], Training] | None) -> Rebuilt:
    """Build it twice, and make one step of each."""
    if factory is None:
        return Rebuilt(skipped=BUILT)
    seen: list[tuple[dict[str, Any], list[float], dict[str, Any]]] = []
    with asking() as heard:
        for _ in range(2):
            with privacy.guard():
                privacy.seed_everything(0)
                training = factory()
                kept = Kept(training, training.state)
                before = _read(kept, everything=True)
                losses: list[float] = []
                for name in training.steps:
                    done = stepped(kept, name, training.batch if training.has_batch else None, _listener(training))
                    if done.error:
                        return Rebuilt(skipped=f"a step of a training built afresh raised {done.error}")
                    losses += done.losses or ([done.returned] if done.returned is not None else [])
                seen.append((before, losses, _read(kept)))
    (one, first, ones), (other, second, others) = seen
    apart = [name for name in one if name in other and not _same(one[name], other[name])]
    if not apart and any(_device(leaf.value) != "cpu" for leaf in kept.arrays().values()):
        return Rebuilt(skipped=ROUNDING)
    pairs = [(a, b) for a, b in zip(first, second, strict=False) if a != b and (a == a or b == b)]
    parameters = [name for name in ones if name in others and not _same(ones[name], others[name])]
    return Rebuilt(
        tensors=tuple(apart[:SHOWN]),
        parameters=tuple(parameters[:SHOWN]),
        losses=pairs[0] if pairs else (),
        unseeded=tuple(heard.items()),
    )


def _listener(training: Training) -> Listener:
    return Listener(
        tuple(array for _, array in batch_arrays(training.batch)) if training.has_batch else (), frozenset()
    )


def _read(kept: Kept, everything: bool = False) -> dict[str, Any]:
    """What the training keeps, by name: all of it and its batch, or what is trained."""
    found = {_name(path): leaf.value for path, leaf in kept.arrays().items() if everything or leaf.role == "leaf"}
    if everything and kept.training.has_batch:
        found |= dict(batch_arrays(kept.training.batch))
    return {name: _bits(value) for name, value in found.items()}


def _name(path: tuple[str, ...]) -> str:
    below = [part for part in path if part not in PLAIN]
    while len(below) > 1 and below[0].isdigit():
        below = below[1:]
    return ".".join(below)


def _bits(value: Any) -> Any:
    import jax

    array = np.asarray(jax.random.key_data(value) if trees.is_key(value) else value)
    return array.shape, str(array.dtype), array.tobytes()


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _device(value: Any) -> str:
    devices = getattr(value, "devices", None)
    return str(next(iter(devices())).platform) if callable(devices) else "cpu"
