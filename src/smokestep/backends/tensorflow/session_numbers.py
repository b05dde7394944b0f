"""Numbers of arrays that a run gave: a few scalars each, so that no array is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

COUNTED = 65_536  # entries up to which distinct values are counted


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of an array. `peak`: largest |entry|; `spread`: largest difference between rows of dimension 0."""

    shape: tuple[int, ...]
    dtype: str
    peak: float | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    uniform: bool = False
    spread: float | None = None
    rows: tuple[float, float] | None = None
    exp_rows: tuple[float, float] | None = None
    integral: bool | None = None
    distinct: int | None = None


def measured(value: Any, *, closely: bool = False) -> Measured:
    """The scalars of one array; `closely`: also those that an operand of a loss needs."""
    array = np.asarray(value)
    shape, dtype = tuple(array.shape), array.dtype.name
    if array.size == 0 or array.dtype.kind not in "fiubV" or dtype in ("object",):
        return Measured(shape, dtype)
    if array.dtype.kind == "V" or dtype == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    with np.errstate(all="ignore"):
        low, high = float(array.min()), float(array.max())
        wide = array.astype(np.float64) if array.dtype.kind != "f" or array.dtype.itemsize < 4 else array
        found = Measured(
            shape,
            dtype,
            peak=max(abs(low), abs(high)) if low == low and high == high else float("nan"),
            low=low,
            high=high,
            mean=float(wide.mean()),
            uniform=low == high,
            spread=float((wide.max(0) - wide.min(0)).max()) if shape and shape[0] > 1 else None,
        )
        if not closely:
            return found
        rows = exp_rows = None
        if shape and array.dtype.kind == "f":
            sums = wide.astype(np.float64).sum(-1)
            rows = (float(sums.min()), float(sums.max()))
            exps = np.exp(wide.astype(np.float64)).sum(-1)
            exp_rows = (float(exps.min()), float(exps.max()))
        return Measured(
            *(getattr(found, name) for name in ("shape", "dtype", "peak", "low", "high", "mean", "uniform", "spread")),
            rows=rows,
            exp_rows=exp_rows,
            integral=bool((array == np.round(array)).all()) if array.dtype.kind == "f" else True,
            distinct=min(len(np.unique(array)), 16) if array.size <= COUNTED else None,
        )


def largest(value: Any) -> float | None:
    """The largest absolute entry; NaN where one is."""
    array = np.asarray(value)
    if not array.size or array.dtype.kind not in "fiu":
        return 0.0 if array.dtype.kind in "fiu" else None
    with np.errstate(all="ignore"):
        return float(np.abs(array.astype(np.float64)).max())


def moved(before: Any, after: Any) -> float:
    """The largest change of an entry, 0 if and only if none changed a bit."""
    one, other = np.asarray(before), np.asarray(after)
    if one.shape != other.shape or one.dtype != other.dtype:
        return float("inf")
    if one.tobytes() == other.tobytes():
        return 0.0
    if one.dtype.kind not in "fiu":
        return 1.0
    with np.errstate(all="ignore"):
        found = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max()) if one.size else 0.0
    return found if found != 0.0 else float(np.finfo(np.float64).tiny)
