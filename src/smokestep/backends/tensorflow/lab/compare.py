"""Compare: what two outcomes differ by, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smokestep.backends.tensorflow.trace import array_of, dtype_of, shape_of
from smokestep.evidence.trials import Difference, Spread, Tensor

SHOWN = 64  # indices of a dimension that are told
ROUNDING = 1e-6  # of the scale: sequences packed in another order round differently in the last bits
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def described(name: str, tensor: Any, value: int | None = None) -> Tensor:
    """The description of a tensor."""
    array = array_of(tensor)
    low = high = None
    if array is not None and array.size and array.dtype.kind in "fiu":
        low, high = float(array.min()), float(array.max())
    return Tensor(name, shape_of(tensor), dtype_of(tensor), value, low, high)


def gap(first: Any, second: Any) -> Any:
    """|one - other|, 0 where both are the same NaN or infinity, infinite where only one is finite."""
    if first.dtype.kind != "f":
        return (first != second).astype(np.float64)
    with np.errstate(all="ignore"):
        same = (first == second) | (np.isnan(first) & np.isnan(second))
        apart = np.abs(first.astype(np.float64) - second.astype(np.float64))
        return np.nan_to_num(np.where(same, 0.0, apart), nan=np.inf)


def difference(name: str, one: Any, other: Any, dim: int, at: Sequence[int] | None, eps: float) -> Difference | None:
    """How far two tensors differ at every index of `dim`; of the second the indices `at` are taken."""
    first, second = array_of(one), array_of(other)
    if first is None or second is None or min(first.ndim, second.ndim) <= dim or not first.size:
        return None
    if at is not None:
        if max(at) >= second.shape[dim]:
            return None
        second = np.take(second, list(at), axis=dim)
    if first.shape != second.shape or first.dtype != second.dtype:
        return None
    apart = gap(first, second)
    largest = apart.max(axis=tuple(d for d in range(apart.ndim) if d != dim)) if apart.ndim > 1 else apart
    return Difference(name, tuple(map(float, largest)), scale(first), max(EPS.get(dtype_of(one), 2.0**-24), eps))


def scale(array: Any) -> float:
    """The largest finite |entry|."""
    plain = np.abs(array.astype(np.float64))
    finite = plain[np.isfinite(plain)]
    return float(finite.max()) if finite.size else 0.0


def spread(first: Any, second: Any) -> Spread:
    """Where two arrays of one shape differ, by more than rounding."""
    apart = gap(first, second) > ROUNDING * scale(first)
    if not apart.ndim:
        return Spread((), (), bool(apart))
    sides = [apart.any(axis=tuple(d for d in range(apart.ndim) if d != dim)) for dim in range(apart.ndim)]
    filled = int(np.prod([int(side.sum()) for side in sides]))
    indices = tuple(tuple(map(int, side.nonzero()[0][:SHOWN])) for side in sides)
    return Spread(tuple(first.shape), indices, filled == int(apart.sum()))
