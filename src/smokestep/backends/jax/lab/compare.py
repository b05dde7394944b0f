"""Compare: what two arrays differ by, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from smokestep.backends.jax.lab.rerun import Heard
from smokestep.evidence.trials import Difference, Spread

SHOWN = 64  # indices of a dimension that are told
FILLED = 1e3  # times the scale of the rest: no score is that far from the others
ROUNDING = 1e-6  # of the scale: sequences packed in another order round differently in the last bits


def _plain(array: Any) -> np.ndarray:
    found = np.asarray(array)
    return found if found.dtype.kind in "fcbiu" else found.astype(np.float32)


def gap(one: Any, other: Any) -> np.ndarray:
    """|one - other|, 0 where both are the same NaN or infinity, infinite where only one is finite."""
    first, second = _plain(one), _plain(other)
    if first.dtype.kind not in "fc":
        return (first != second).astype(np.float64)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = (
            np.abs(first.astype(np.complex128) - second)
            if first.dtype.kind == "c"
            else np.abs(first.astype(np.float64) - second.astype(np.float64))
        )
    return np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf, posinf=np.inf))


def scale_of(array: Any) -> float:
    """The largest finite |entry|."""
    plain = np.abs(_plain(array).astype(np.float64)) if _plain(array).dtype.kind != "c" else np.abs(_plain(array))
    finite = plain[np.isfinite(plain)]
    return float(finite.max()) if finite.size else 0.0


def difference(
    name: str, one: Any, other: Any, dim: int, at: Sequence[int] | None, rounding: float = 0.0
) -> Difference | None:
    """How far two arrays differ at every index of `dim`; of the second the indices `at` are taken. `rounding`: that of
    the coarsest type on the way to them."""
    if min(one.ndim, other.ndim) <= dim or not one.size:
        return None
    if at is not None:
        if max(at) >= other.shape[dim]:
            return None
        other = np.take(np.asarray(other), list(at), dim)
    if one.shape != other.shape or one.dtype != other.dtype:
        return None
    apart = gap(one, other)
    largest = apart.max(axis=tuple(d for d in range(apart.ndim) if d != dim)) if apart.ndim > 1 else apart
    eps = float(jnp.finfo(one.dtype).eps) if jnp.issubdtype(one.dtype, jnp.inexact) else 2.0**-24
    return Difference(name, tuple(float(each) for each in largest), scale_of(one), max(eps, rounding))


def rounding(heard: Heard) -> float:
    """The relative rounding of the coarsest real type that a model computes in."""
    groups = (heard.body.groups[at] for at in heard.model.inside)
    made = {value for each in groups for value in each.makes}
    types = {aval.dtype for each in made if hasattr(aval := heard.body.sketch.avals[each], "dtype")}
    real = [each for each in types if jnp.issubdtype(each, jnp.inexact)]
    return max((float(jnp.finfo(each).eps) for each in real), default=0.0)


def spread(one: Any, other: Any) -> Spread:
    """Where two arrays of one shape differ, by more than rounding."""
    if one.shape != other.shape:
        return Spread(tuple(one.shape), (), False)
    if one is other:
        return Spread(tuple(one.shape), tuple(() for _ in one.shape), not one.ndim and False)
    far = gap(one, other)
    apart = far > ROUNDING * _scale(one, far)
    if not apart.ndim:
        return Spread((), (), bool(apart))
    sides = [
        apart.any(axis=tuple(d for d in range(apart.ndim) if d != dim)) if apart.ndim > 1 else apart
        for dim in range(apart.ndim)
    ]
    filled = int(np.prod([int(side.sum()) for side in sides]))
    indices = tuple(tuple(int(each) for each in np.flatnonzero(side)[:SHOWN]) for side in sides)
    return Spread(tuple(one.shape), indices, filled == int(apart.sum()))


def _scale(array: Any, far: np.ndarray) -> float:
    """The scale of an array, without what it is filled with where a mask hides it: -1e9 would hide all else."""
    plain, whole = _plain(array), scale_of(array)
    if plain.dtype.kind != "f" or not plain.size:
        return whole
    filled = plain == plain.min()
    rest = scale_of(plain[~filled])
    return rest if rest and rest * FILLED < whole and int((filled & (far == 0)).sum()) > 1 else whole


def alike(array: Any, dim: int) -> bool:
    """Whether all slices along a dimension are equal, to a few roundings."""
    plain = _plain(array)
    first = np.take(plain, [0], dim)
    if plain.dtype.kind not in "fc":
        return bool((plain == first).all())
    return bool(np.allclose(plain, np.broadcast_to(first, plain.shape), rtol=1e-3, atol=1e-6, equal_nan=True))
