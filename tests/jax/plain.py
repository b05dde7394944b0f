"""Runs a training without smokestep, and says what moved: a program must train, or not, by its own doing."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from flax import nnx

import jax
import jax.numpy as jnp
import smokestep


def moved(training: smokestep.Training, steps: int = 3) -> int:
    """How many arrays of floats, of the state or of the models, are other ones after so many plain steps."""
    state = training.state
    before = held(state if training.has_state else reachable(training))
    for _ in range(steps):
        for step in training.steps.values():
            state = succeeded(state, step(*training.arguments(step, state)))
    after = held(state if training.has_state else reachable(training))
    return sum(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def succeeded(state: Any, result: Any) -> Any:
    """The state after a step that gave this result: see `smokestep.Training`, `state`."""
    if state is None or result is None:
        return state
    results = result if isinstance(result, (tuple, list)) else [result]
    whole = [each for each in (result, *results) if alike(each, state)]
    if whole or not isinstance(state, tuple):
        return whole[0] if whole else state
    new, place = list(state), 0
    for index, part in enumerate(state):
        if isinstance(part, (nnx.Module, nnx.Optimizer)):
            continue
        found = next((each for each in range(place, len(results)) if alike(results[each], part)), None)
        if found is not None:
            new[index], place = results[found], found + 1
    return tuple(new)


def alike(one: Any, other: Any) -> bool:
    """Whether two values are trees of one structure with arrays of the same shapes."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    return all(np.shape(a) == np.shape(b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def reachable(training: smokestep.Training) -> list[Any]:
    """The models of a training, else what its steps close over or are bound to."""
    if training.model:
        return list(training.model.values())
    things: list[Any] = []
    for step in training.steps.values():
        things += inspect.getclosurevars(step).nonlocals.values() if inspect.isfunction(step) else []
        things += vars(getattr(step, "__self__", object)).values() if inspect.ismethod(step) else []
    return things


def held(thing: Any) -> list[np.ndarray]:
    """A copy of every array of floats in a value, modules that are changed in place included."""
    if isinstance(thing, (nnx.Module, nnx.Optimizer)):
        thing = nnx.state(thing)
    elif isinstance(thing, (list, tuple)):
        return [array for each in thing for array in held(each)]
    elif isinstance(thing, dict):
        return [array for key in sorted(thing, key=str) for array in held(thing[key])]  # jit gives sorted keys back
    leaves = [leaf for leaf in jax.tree.leaves(thing) if hasattr(leaf, "dtype")]
    return [np.array(leaf, dtype=np.float64) for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
