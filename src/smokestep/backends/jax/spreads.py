"""Spreads: how far the slices of an array lie from the first along each dimension, beside its largest entry.

Units that get one and the same gradient stay the same; small arrays are brought back whole, of large ones the numbers.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

Spread: TypeAlias = tuple[float | None, ...]
SMALL = 1 << 14  # entries up to which an array is brought back whole: compiling a reduction takes longer
DIMENSIONS = 6  # with more, an array is no weight


def taken(value: Any) -> Any:
    """Within a program: the array if it is small, else its largest entry, and the largest distance per dimension."""
    if value.size <= SMALL or value.ndim > DIMENSIONS:
        return value if value.ndim <= DIMENSIONS else jnp.zeros((0, 0))
    wide = value.astype(jnp.promote_types(value.dtype, jnp.float32))
    gaps = [jnp.max(jnp.abs(wide - jax.lax.slice_in_dim(wide, 0, 1, axis=dim))) for dim in range(value.ndim)]
    return jnp.stack([jnp.max(jnp.abs(wide)), *gaps]).astype(jnp.float32)


def told(raw: Any) -> Spread:
    """What was taken, as numbers: one for each dimension, None where the array is zero or not finite."""
    array = np.asarray(raw)
    if array.ndim == 1:
        largest, *gaps = (float(each) for each in array)
    elif not array.size:
        return ()
    else:
        wide = array if array.dtype.kind in "fc" and array.dtype.itemsize > 2 else array.astype(np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            largest = float(np.abs(wide).max())
            gaps = [float(np.abs(wide - np.take(wide, [0], axis=dim)).max()) for dim in range(wide.ndim)]
    if not 0.0 < largest < float("inf"):
        return tuple(None for _ in gaps)
    return tuple(gap / largest for gap in gaps)


def of(array: Any) -> Spread:
    """Of an array at hand."""
    shape = getattr(array, "shape", ())
    if not 1 < len(shape) <= DIMENSIONS or not array.size or not jnp.issubdtype(array.dtype, jnp.inexact):
        return ()
    return told(taken(array))
