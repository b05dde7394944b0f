"""Edits: copies of a batch with some of its arrays changed; the same edit gives the same entries every time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from smokestep.backends.jax import trees
from smokestep.backends.jax.declarations import batch_arrays
from smokestep.evidence.trials import Edit, Extend, Other, Put, Take
from smokestep.evidence.trials import Tensor as Described


def described(name: str, array: Any, value: int | None = None) -> Described:
    """The description of an array."""
    low = high = None
    if array.size and not trees.is_key(array) and array.dtype != bool and np.asarray(array).dtype.kind != "c":
        plain = np.asarray(array)
        plain = plain.astype(np.float32) if plain.dtype.kind not in "fiu" else plain
        low, high = float(plain.min()), float(plain.max())
    return Described(name, tuple(array.shape), str(array.dtype), value, low, high)


def edited(batch: Any, edits: Sequence[Edit]) -> tuple[Any, list[Any]]:
    """A copy of the batch with the edits applied, and the arrays of the copy, in their order."""
    names = {id(array): name for name, array in batch_arrays(batch)}
    made: list[Any] = []

    def new(array: Any) -> Any:
        name, found = names.get(id(array)), array
        for edit in edits:
            if name is not None and (name in edit.arguments if isinstance(edit, Take) else name == edit.argument):
                found = applied(edit, found)
        made.append(found)
        return found

    return mapped(batch, new), made


def mapped(tree: Any, function: Callable[[Any], Any], depth: int = 0) -> Any:
    """The same structure with `function` of every array; what is no plain container is handed on as it is."""
    if trees.is_array(tree):
        return function(tree)
    if depth > 4:
        return tree
    if isinstance(tree, Mapping):
        new = {key: mapped(each, function, depth + 1) for key, each in tree.items()}
        return new if type(tree) is dict else type(tree)(new)
    if isinstance(tree, (list, tuple)):
        items = [mapped(each, function, depth + 1) for each in tree]
        return tree._make(items) if hasattr(tree, "_make") else type(tree)(items)
    if hasattr(tree, "__dataclass_fields__") and not isinstance(tree, type):
        made = copy.copy(tree)
        for key in tree.__dataclass_fields__:
            object.__setattr__(made, key, mapped(getattr(tree, key, None), function, depth + 1))
        return made
    return tree


def applied(edit: Edit, array: Any) -> Any:
    """One edit of one array, of the same kind of array."""
    if trees.is_key(array):
        return array[np.asarray(edit.indices)] if isinstance(edit, Take) and array.ndim > edit.dim else array
    old = np.asarray(array)
    if isinstance(edit, Take):
        new = np.take(old, edit.indices, edit.dim)
    elif isinstance(edit, Extend):
        shape = list(old.shape)
        shape[edit.dim] = edit.count
        filled = np.full(shape, edit.value, old.dtype)
        new = np.concatenate([filled, old] if edit.front else [old, filled], edit.dim)
    else:
        new, place = old.copy(), _place(old, edit.where)
        new[place] = edit.value if isinstance(edit, Put) else _other(old, place) if isinstance(edit, Other) else 0
    return jnp.asarray(new, array.dtype) if isinstance(array, jax.Array) else new


def _place(array: np.ndarray, where: Any) -> np.ndarray:
    """A mask of the entries meant."""
    mask = np.ones(array.shape, bool)
    for dim, indices in where:
        along = np.zeros(array.shape[dim], bool)
        along[list(indices)] = True
        mask &= along.reshape([-1 if d == dim else 1 for d in range(array.ndim)])
    return mask


def _other(array: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Other entries for the place: deterministic, and different from what stands there."""
    old = array[place]
    if array.dtype == bool:
        return ~old
    if array.dtype.kind in "iu":
        kinds = np.unique(array)
        return kinds[(np.searchsorted(kinds, old) + 1) % len(kinds)] if len(kinds) > 1 else (old == 0).astype(old.dtype)
    finite = array[np.isfinite(array)].astype(np.float64)
    width = float(finite.std(ddof=1)) if finite.size > 1 else 0.0
    noise = np.random.default_rng(0).standard_normal(old.shape)
    return (old.astype(np.float64) + (width or 1.0) * (np.sign(noise) * 0.5 + noise)).astype(old.dtype)
