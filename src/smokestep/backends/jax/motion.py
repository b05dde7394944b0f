"""Motion: which variables of Flax NNX objects a block of code moved, and by how much.

Arrays never change in place, so a tree of them cannot be watched: whoever has one compares it before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from smokestep.backends.jax import trees
from smokestep.world import Motion

COMPARE = (
    "arrays of JAX never change in place, so a block cannot be seen to train them: compare the state before and after "
    "the step, or declare Training(..., trains=...)"
)


def observe(things: Mapping[str, Any]) -> Callable[[], tuple[Motion, ...]]:
    """Start to watch the variables of these NNX modules or variables, or of sequences of them; call to end it."""
    variables: dict[int, tuple[str, Any]] = {}
    for name, thing in things.items():
        for path, variable in _variables(name, thing):
            variables.setdefault(id(variable), (path, variable))
    before = {key: variable.get_raw_value() for key, (_, variable) in variables.items()}

    def ended() -> tuple[Motion, ...]:
        return tuple(_motion(name, variable, before[key]) for key, (name, variable) in variables.items())

    return ended


def _motion(name: str, variable: Any, before: Any) -> Motion:
    from flax import nnx

    now = variable.get_raw_value()
    one, other = np.asarray(now), np.asarray(before)
    moved = now is not before and (one.shape != other.shape or one.tobytes() != other.tobytes())
    learned = isinstance(variable, nnx.Param)
    return Motion(
        name=name,
        moved=moved,
        distance=_distance(one, other) if moved else 0.0,
        gradient=None,
        trainable=learned,
        statistic=isinstance(variable, nnx.BatchStat),
        parameter=learned,
        watched=False,
    )


def _variables(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if trees.is_living(thing):
        from flax import nnx

        if isinstance(thing, nnx.Optimizer):
            raise TypeError(f"{name}: an NNX optimizer holds no parameters; give the model")
        for path, node in nnx.iter_graph(thing):
            if isinstance(node, nnx.Variable) and not isinstance(node, nnx.RngState):
                if trees.is_array(node.get_raw_value()):
                    yield ".".join((name, *(str(each) for each in path))), node
    elif isinstance(thing, Mapping) and any(trees.is_living(each) for each in thing.values()):
        for key, each in thing.items():
            yield from _variables(f"{name}.{key}", each)
    elif isinstance(thing, (list, tuple)) and any(trees.is_living(each) for each in thing):
        for index, each in enumerate(thing):
            yield from _variables(f"{name}[{index}]", each)
    else:
        raise TypeError(f"{name} is no NNX module or variable but {type(thing).__name__}: {COMPARE}")


def _distance(now: np.ndarray, before: np.ndarray) -> float:
    if now.shape != before.shape or not now.size:
        return 0.0
    return float(np.abs(now.astype(np.float64) - before.astype(np.float64)).max())
