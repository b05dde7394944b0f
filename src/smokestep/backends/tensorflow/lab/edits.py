"""Edits: copies of nested arguments in which some tensors, told by name, are changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops as tf_ops

from smokestep.evidence.trials import Edit, Extend, Other, Put, Take

MOST = 1 << 16  # entries handed over as numbers: some milliseconds


def mapped(tree: Any, function: Callable[[Any], Any], depth: int = 0) -> Any:
    """A copy of nested containers with a function applied to the tensors and arrays in them."""
    if isinstance(tree, (tf_ops.EagerTensor, np.ndarray)):
        return function(tree)
    if depth < 6 and isinstance(tree, Mapping):
        return type(tree)((key, mapped(each, function, depth + 1)) for key, each in tree.items())
    if depth < 6 and isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(each, function, depth + 1) for each in tree))
    if depth < 6 and isinstance(tree, (list, tuple)):
        return type(tree)(mapped(each, function, depth + 1) for each in tree)
    return tree


def change(tree: Any, names: Mapping[int, str], edits: Sequence[Edit]) -> Any:
    """A copy with the edits applied to the tensors of these names (by identity)."""

    def new(tensor: Any) -> Any:
        name, edited = names.get(id(tensor)), tensor
        for edit in edits:
            if name is not None and (name in edit.arguments if isinstance(edit, Take) else name == edit.argument):
                edited = _tensor(edited, _applied(edit, np.asarray(edited)))
        return edited

    return mapped(tree, new)


def entries(tensors: Iterable[tuple[str, Any]], name: str, edits: Sequence[Edit]) -> tuple[float, ...]:
    """The entries of the tensor of this name, edited, in order; none where it has too many."""
    for known, tensor in tensors:
        if known == name:
            edited = np.asarray(change(tensor, {id(tensor): name}, edits))
            return tuple(map(float, edited.reshape(-1))) if edited.size <= MOST and edited.dtype.kind in "fiub" else ()
    return ()


def _tensor(like: Any, array: Any) -> Any:
    return array if isinstance(like, np.ndarray) else tf.constant(array, dtype=like.dtype)


def _applied(edit: Edit, array: Any) -> Any:
    if isinstance(edit, Take):
        return np.take(array, list(edit.indices), axis=edit.dim)
    if isinstance(edit, Extend):
        shape = list(array.shape)
        shape[edit.dim] = edit.count
        filled = np.full(shape, edit.value, array.dtype)
        return np.concatenate([filled, array] if edit.front else [array, filled], edit.dim)
    new, place = np.array(array), _place(array, edit.where)
    if isinstance(edit, Put):
        new[place] = edit.value
    elif isinstance(edit, Other):
        new[place] = _other(array, place)
    return new


def _place(array: Any, where: Any) -> Any:
    """A mask of the entries meant."""
    mask = np.ones(array.shape, dtype=bool)
    for dim, indices in where:
        along = np.zeros(array.shape[dim], dtype=bool)
        along[list(indices)] = True
        mask &= along.reshape([-1 if d == dim else 1 for d in range(array.ndim)])
    return mask


def _other(array: Any, place: Any) -> Any:
    """Other entries for the place, the same at every call, and different from what stands there."""
    old = array[place]
    if array.dtype.kind == "b":
        return ~old
    if array.dtype.kind in "iu":
        kinds = np.unique(array)
        if len(kinds) > 1:
            return kinds[(np.searchsorted(kinds, old) + 1) % len(kinds)]
        return (old == 0).astype(old.dtype)
    wide = array.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    width = float(finite.std()) if finite.size > 1 else 0.0
    noise = np.random.default_rng(0).standard_normal(old.shape)
    return (old.astype(np.float64) + (width or 1.0) * (np.sign(noise) * 0.5 + noise)).astype(array.dtype)
