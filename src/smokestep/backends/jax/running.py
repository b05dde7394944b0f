"""Running: calls the user's step with the state, and finds the new state in what it returned.

What comes back is matched to the state by its structure; what is not returned stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from smokestep.backends.jax import trees
from smokestep.backends.jax.arrays import renewed


def call(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call the user's step; the frames of the code it runs end here."""
    return step(*arguments)


def apart(state: Any) -> Any:
    """The state, an array that lies in it at two places of one tree as two: to JAX they are two parameters."""
    try:
        found, tree = jax.tree_util.tree_flatten_with_path(state, is_leaf=trees.is_living)
    except (TypeError, ValueError):
        return state
    seen: set[Any] = set()
    leaves = []
    for path, value in found:
        place = (path[0] if len(path) > 1 else None, id(value))
        again = place in seen and isinstance(value, jax.Array)
        seen.add(place)
        leaves.append(renewed(value) if again else value)
        variables_apart(value)
    if all(one is other for one, (_, other) in zip(leaves, found, strict=True)):
        return state
    return jax.tree_util.tree_unflatten(tree, leaves)


def variables_apart(module: Any) -> None:
    """Give a variable of an NNX module that holds the array of another one the same array as an object of its own."""
    seen: set[int] = set()
    for variable in trees.variables(module):
        array = variable.get_raw_value()
        if id(array) in seen and isinstance(array, jax.Array):
            variable.set_raw_value(renewed(array))
        seen.add(id(array))


def _structure(value: Any) -> Any:
    try:
        return jax.tree_util.tree_structure(value)
    except (TypeError, ValueError):
        return None


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are trees of one structure, and of arrays of the same shapes."""
    if one is other:
        return True
    if _structure(one) != _structure(other) or _structure(one) is None:
        return False
    first, second = jax.tree_util.tree_leaves(one), jax.tree_util.tree_leaves(other)
    if not first:
        return type(one) is type(other)
    return all(np.shape(a) == np.shape(b) for a, b in zip(first, second, strict=True) if _shaped(a) and _shaped(b))


def _shaped(value: Any) -> bool:
    return hasattr(value, "shape")


def matched(state: Any, returned: Any) -> tuple[Any, list[Any]]:
    """The new state after a step, and what it returned besides."""
    if returned is None:
        return state, []
    if _alike(state, returned) and jax.tree_util.tree_leaves(state):
        return returned, []
    if isinstance(returned, (tuple, list)):
        for index, each in enumerate(returned):
            if _alike(state, each) and jax.tree_util.tree_leaves(state):
                return each, [*returned[:index], *returned[index + 1 :]]
    if isinstance(state, tuple):
        items = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if isinstance(returned, tuple) and hasattr(returned, "_fields") and any(_alike(s, returned) for s in state):
            items = [returned]
        flat = [inner for each in items for inner in _opened(each, state)]
        found, rest, at = list(state), [], 0
        for item in flat:
            place = next((i for i in range(at, len(found)) if _alike(state[i], item)), None)
            if place is None:
                rest.append(item)
            else:
                found[place], at = item, place + 1
        return type(state)(*found) if hasattr(state, "_fields") else tuple(found), rest
    return state, [returned]


def _opened(item: Any, state: tuple[Any, ...]) -> list[Any]:
    """The elements of a nested tuple none of which is an element of the state as a whole."""
    if type(item) in (tuple, list) and not any(_alike(each, item) for each in state):
        return [inner for each in item for inner in _opened(each, state)]
    return [item]


def scalar(values: list[Any]) -> float | None:
    """The first number among what a step returned besides the state."""
    for each in values:
        if isinstance(each, bool):
            continue
        if isinstance(each, (int, float)):
            return float(each)
        if trees.is_array(each):
            if each.size == 1 and not trees.is_key(each) and np.asarray(each).dtype.kind in "f":
                return float(np.asarray(each).reshape(()))
            if each.size == 1 and not trees.is_key(each) and "bfloat" in str(each.dtype):
                return float(each.reshape(()))
        elif isinstance(each, dict):
            named = [each[key] for key in ("loss", "total_loss", "train_loss") if key in each]
            found = scalar([*named, *each.values()])
            if found is not None:
                return found
        elif isinstance(each, (tuple, list)):
            found = scalar(list(each))
            if found is not None:
                return found
    return None
