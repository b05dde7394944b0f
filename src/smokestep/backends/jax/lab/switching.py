"""Switching: what `eval()` of an NNX module sets, and whether a class's own `eval` sets as much.

Other modules have no mode of their own. The module is switched, looked at, and put back by whoever asks.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from smokestep.backends.jax import frames
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.evidence.switching import Override, Switched

MODE = (("deterministic", True), ("use_running_average", True), ("training", False))
LAYERS = ("deterministic", "use_running_average")  # what NNX's own layers go by


def evaluated(living: Any) -> None:
    """Set what `eval()` of an NNX module sets, whatever the user's class makes of that method."""
    for _, node in _modules(living):
        for word, value in MODE:
            if word in vars(node):
                setattr(node, word, value)


def _modules(living: Any) -> Iterator[tuple[str, Any]]:
    from flax import nnx

    for path, node in nnx.iter_graph(living):
        if isinstance(node, nnx.Module):
            yield ".".join(map(str, path)), node


def switched(kept: Kept) -> Switched:
    """What classes of NNX modules make of `eval`."""
    with kept.preserved():
        return Switched("", overrides=tuple(found for each in kept.living() for found in _overrides(each)))


def _overrides(living: Any) -> Iterator[Override]:
    from flax import nnx

    if not isinstance(living, nnx.Module):
        return
    method = inspect.getattr_static(type(living), "eval", None)
    if not inspect.isfunction(method) or frames.kind_of_file(method.__code__.co_filename) != frames.USER:
        return
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if any(each.kind is not each.VAR_KEYWORD for each in parameters):  # it does something else
        return
    nnx.Module.train(living)
    awake = [(path, node) for path, node in _modules(living) if _training(node)]
    if not awake:
        return
    living.eval()
    stuck = tuple(path for path, node in awake if _training(node))
    line = frames.line_of(method.__code__.co_filename, method.__code__.co_firstlineno)
    yield Override(type(living).__name__, "eval", line, stuck=stuck)


def _training(node: Any) -> bool:
    kind = type(node)
    return kind.__module__.startswith("flax.nnx") and any(vars(node).get(word) is False for word in LAYERS)
