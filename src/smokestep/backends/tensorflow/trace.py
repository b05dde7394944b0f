"""Trace: what is kept of one value and of one operation while the recording runs, and how arrays are measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from smokestep.backends.tensorflow.frames import Raw


class Seen:
    """One version of one tensor or variable while the trace runs."""

    __slots__ = (
        "dtype",
        "gradient",
        "group",
        "id",
        "kind",
        "mean",
        "op",
        "outside",
        "peak",
        "place",
        "rg",
        "shape",
        "since",
    )

    def __init__(self, serial: int, kind: str, op: int | None, shape: tuple[int, ...], dtype: str) -> None:
        self.id, self.kind, self.op, self.shape, self.dtype = serial, kind, op, shape, dtype
        self.rg = False
        self.outside = False  # made of trainable variables while no tape recorded
        self.peak: float | None = None
        self.gradient: float | None = None
        self.mean: float | None = None
        self.place: Any = None  # the variable or batch element that it is a version of
        self.group: RawOp | None = None  # the composite that made it
        self.since: frozenset[int] = frozenset()  # the backward passes whose gradients it holds


class RawOp:
    """One operation while the trace runs."""

    __slots__ = (
        "args",
        "escapes",
        "grad",
        "id",
        "inplace",
        "line",
        "makes",
        "module",
        "name",
        "outer",
        "reads",
        "stack",
    )

    def __init__(
        self, serial: int, name: str, line: Raw | None, stack: tuple[Raw, ...], module: Any, grad: bool
    ) -> None:
        self.id, self.name, self.line, self.stack, self.module, self.grad = serial, name, line, stack, module, grad
        self.reads: list[int] = []
        self.makes: list[int] = []
        self.args: dict[str, Any] = {}
        self.escapes = self.inplace = False
        self.outer = ""


def array_of(tensor: Any) -> Any:
    """The entries of a tensor, of the values of a sparse update, or None where there are none to be had."""
    try:
        values = getattr(tensor, "values", tensor) if type(tensor).__name__ == "IndexedSlices" else tensor
        array = values._numpy() if hasattr(values, "_numpy") else np.asarray(values)
    except Exception:  # resources, variants, tensors of other devices that are gone: they stay unmeasured
        return None
    if array.dtype.kind not in "fiubc" and array.dtype.name.startswith(("bfloat16", "float8")):
        array = array.astype(np.float32)
    return array if array.dtype.kind in "fiub" else None


def peak_of(tensor: Any) -> float | None:
    """The largest |entry|; NaN if there is one."""
    array = array_of(tensor)
    if array is None or not array.size:
        return None
    with np.errstate(all="ignore"):
        return float(np.max(np.abs(array.astype(np.float64, copy=False)) if array.dtype.kind != "f" else np.abs(array)))


def mean_of(tensor: Any) -> float | None:
    """The mean of the entries."""
    array = array_of(tensor)
    return float(np.mean(array, dtype=np.float64)) if array is not None and array.size else None


def shape_of(tensor: Any) -> tuple[int, ...]:
    """The shape; () where it is not known in full."""
    try:
        return tuple(int(each) for each in tensor.shape)
    except (TypeError, ValueError):
        return ()


def dtype_of(tensor: Any) -> str:
    """The name of the type of the entries."""
    dtype = getattr(tensor, "dtype", None)
    return str(getattr(dtype, "name", dtype))
