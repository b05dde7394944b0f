"""Motion: which variables of some objects a block of code moved, by how much, and on a gradient or not.

Copies are compared bit for bit; only a block that is over is judged. A gradient is heard where a tape is asked eagerly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from tensorflow.python.eager import imperative_grad

from smokestep.backends.tensorflow.declarations import STATISTICS
from smokestep.backends.tensorflow.trace import peak_of
from smokestep.world import Motion


def observe(things: Mapping[str, Any]) -> Callable[[], tuple[Motion, ...]]:
    """Start to watch the variables of these layers, variables, optimizers, or sequences of them; call to end it."""
    variables: dict[int, tuple[str, Any]] = {}
    for name, thing in things.items():
        for path, variable in _variables(name, thing):
            variables.setdefault(id(variable), (path, variable))
    before = {key: np.array(variable.numpy()) for key, (_, variable) in variables.items()}
    handles = {_handle(variable)._id: key for key, (_, variable) in variables.items()}
    gradients: dict[int, float] = {}
    real = imperative_grad.imperative_grad

    def heard(tape: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
        found = real(tape, target, sources, *args, **kwargs)
        for source, gradient in zip(sources, found, strict=False):
            key = handles.get(getattr(source, "_id", None))
            if key is not None and gradient is not None:
                gradients[key] = peak_of(gradient) or 0.0
        return found

    imperative_grad.imperative_grad = heard

    def ended() -> tuple[Motion, ...]:
        imperative_grad.imperative_grad = real
        return tuple(
            _motion(name, variable, before[key], gradients.get(key)) for key, (name, variable) in variables.items()
        )

    return ended


def _motion(name: str, variable: Any, before: Any, gradient: float | None) -> Motion:
    now = np.array(variable.numpy())
    statistic = name.rpartition(".")[2].startswith((*STATISTICS, "seed_generator"))
    moved = now.shape != before.shape or now.tobytes() != before.tobytes()
    numeric = now.dtype.kind in "fiu" and now.shape == before.shape and now.size
    distance = float(np.max(np.abs(now.astype(np.float64) - before.astype(np.float64)))) if numeric else 0.0
    return Motion(name, moved, distance, gradient, bool(variable.trainable), statistic, bool(variable.trainable))


def _handle(variable: Any) -> Any:
    return getattr(variable, "_value", variable)._handle


def _variables(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(thing, "apply_gradients"):
        yield from _variables(name, list(getattr(thing, "_trainable_variables", ())))
    elif hasattr(thing, "trainable_variables") and hasattr(thing, "variables"):
        own = str(getattr(thing, "name", ""))
        for each in thing.variables:
            path = str(getattr(each, "path", each.name)).removesuffix(":0")
            yield f"{name}.{path.removeprefix(own + '/').replace('/', '.')}", each
    elif hasattr(thing, "assign") and hasattr(thing, "numpy"):
        yield name, thing
    elif isinstance(thing, Mapping):
        for key, each in thing.items():
            yield from _variables(f"{name}.{key}", each)
    elif isinstance(thing, (list, tuple, set, frozenset, Iterator)):
        for index, each in enumerate(thing):
            yield from _variables(f"{name}[{index}]", each)
    else:
        raise TypeError(f"give layers, variables, optimizers or sequences of them, got {type(thing).__name__}")
