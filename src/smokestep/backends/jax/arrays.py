"""Arrays: what an array is known by, and when two are the same."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax._src.array import ArrayImpl

from smokestep.backends.jax import trees


def key_of(array: Any) -> Any:
    """What an array is known by: itself, or the memory of a NumPy array."""
    if isinstance(array, np.ndarray):
        return ("numpy", array.__array_interface__["data"][0], array.shape, array.dtype.str)
    return id(array)


def same(array: Any, other: Any) -> bool:
    """Whether an array holds what an element of the batch holds: it was moved, and not seen to be."""
    if getattr(array, "shape", None) != getattr(other, "shape", ()) or not getattr(array, "size", 0) > 1:
        return False
    if trees.is_key(array) or trees.is_key(other) or array.size > 1 << 22:
        return False
    try:
        return bool((np.asarray(array) == np.asarray(other)).all())
    except (TypeError, ValueError):
        return False


def uniform(array: Any) -> bool:
    """Whether all entries of a small array are equal."""
    if trees.is_key(array) or not 0 < array.size <= 65_536:
        return False
    flat = np.asarray(array).reshape(-1)
    return bool((flat == flat[0]).all())


def small(array: Any) -> bool:
    """Whether an array is small enough to be measured here."""
    return trees.is_array(array) and not trees.is_key(array) and 0 < array.size <= 1 << 20


def renewed(array: Any) -> Any:
    """The same array as an object of its own, so that it is known apart."""
    if isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer):
        return _view(array)
    return array


def _view(array: Any) -> Any:
    if type(array) is not ArrayImpl:
        return array
    return ArrayImpl(array.aval, array.sharding, list(array._arrays), committed=array._committed, _skip_checks=True)
