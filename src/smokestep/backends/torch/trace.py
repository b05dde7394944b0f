"""Trace: what is kept of one value and of one public call while the trace runs; neither keeps a tensor alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import Extent

Tensor = torch.Tensor


class Seen:
    """One version of one tensor while the trace runs."""

    __slots__ = (
        "dtype",
        "gradient",
        "id",
        "kind",
        "mean",
        "op",
        "peak",
        "ref",
        "readers",
        "rg",
        "shape",
        "version",
        "view",
    )

    def __init__(self, serial: int, tensor: Tensor | None, kind: str, op: int | None) -> None:
        self.id, self.kind, self.op = serial, kind, op
        self.ref: Callable[[], Tensor | None] = weakref.ref(tensor) if tensor is not None else lambda: None
        self.rg = bool(tensor is not None and tensor.requires_grad)
        self.shape: tuple[int, ...] = ()
        self.dtype = "python"
        self.version = 0
        if tensor is not None:
            self.version = version(tensor)
            self.dtype = str(tensor.dtype).removeprefix("torch.")
            self.shape = shape_of(tensor)
        self.peak: Extent | None = None
        self.gradient: list[Extent] | None = None
        self.readers = 0  # how often it was read
        self.view: Seen | None = None  # the last value that has its very entries, in another shape
        self.mean: list[Any] | None = None


class RawOp:
    """One public call while the trace runs."""

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


def version(tensor: Tensor) -> int:
    """The in-place version counter; 0 for tensors that keep none."""
    try:
        return tensor._version
    except RuntimeError:  # inference tensors do not track versions
        return 0


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape; () for a tensor that has none yet (lazily built) or no single one (nested)."""
    try:
        shape = tuple(tensor.shape)
    except (RuntimeError, ValueError):
        return ()
    return shape if all(type(each) is int for each in shape) else ()


def storage(tensor: Tensor) -> int:
    """The identity of the memory that a tensor and its views share."""
    try:
        return tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError, ValueError):
        return id(tensor)
