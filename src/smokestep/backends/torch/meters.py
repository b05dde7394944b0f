"""Meters: what happens to every parameter, as numbers: its gradients, and how far each step moved it.

One copy of the parameters is kept to compare with; each gradient is measured once for each time it is used. Numbers
stay small tensors until the recording ends, so that no device is waited for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from smokestep.backends.torch import beginnings
from smokestep.backends.torch.quiet import plain

Tensor = torch.Tensor
CHUNK = 1 << 18  # entries compared at once: a piece of this size stays in the cache between the passes over it
Extent = tuple[Tensor, Tensor]
Number = Tensor | Extent | float | None


class Row:
    """The numbers of one parameter in one step."""

    __slots__ = ("called", "carried", "gradient", "rate", "received", "requires_grad", "spread", "update")

    def __init__(self) -> None:
        self.gradient: Number = None
        self.received: Number = None
        self.carried: Number = None
        self.update: Number = 0.0
        self.rate: float | None = None
        self.called: bool | None = None
        self.requires_grad = True
        self.spread: tuple[float | None, ...] = ()  # of the gradient's slices, where the parameter's began alike


class Tracked:
    """One parameter (or, when roles are declared, buffer) followed through the recording."""

    __slots__ = (
        "alike",
        "before",
        "buffer",
        "fresh",
        "leftover",
        "original",
        "row",
        "rows",
        "sample",
        "scale",
        "shadow",
        "tensor",
        "used",
    )

    def __init__(self, tensor: Tensor, buffer: bool) -> None:
        self.tensor, self.buffer = tensor, buffer
        self.shadow = tensor.detach().clone()
        self.scale: Number = None
        self.before: tuple[int, int] | None = None
        self.fresh = False  # a backward reached it since its gradient was last measured
        self.used = False  # its gradient went into an update and has not been cleared since
        self.leftover: Number = None
        self.row = Row()
        self.rows: list[Row] = []
        self.alike: tuple[int, ...] = ()  # the dimensions along which its slices began the same
        self.original: Tracked | None = None  # the one that it began as a copy of
        self.sample: Any = None


def measurable(tensor: Any) -> bool:
    """Whether a tensor has entries to compare: lazily built and meta ones have none yet, batched ones soon no more, and
    those of a wrapper are its author's business."""
    return (
        isinstance(tensor, Tensor)
        and plain(tensor)
        and not isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin)
        and not tensor.is_meta
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and not tensor.is_quantized
    )


def comparable(tensor: Tensor) -> Tensor:
    """The entries without history, in a type that can be compared: short floats are widened, complex ones measured."""
    tensor = tensor.detach()
    if tensor.is_complex():
        return tensor.abs()
    return tensor.float() if _short(tensor) else tensor


def _short(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.element_size() == 1


def extent(tensor: Tensor) -> Number:
    """The largest absolute entry, or on a device that would have to be waited for, the least and the greatest.

    On a CPU a maximum norm takes 13 ms for 4 M entries, `aminmax` 1; both carry NaN through.
    """
    return _kept(*torch.aminmax(comparable(tensor)))


def _kept(low: Tensor, high: Tensor) -> Number:
    """On a CPU as a float: small tensors that live on between large ones keep memory from being used again."""
    return float(max(abs(low.item()), abs(high.item()))) if low.device.type == "cpu" else (low, high)


def mean(tensor: Tensor) -> Number:
    """The mean entry, read at once where no device has to be waited for."""
    found = tensor.detach().mean()
    return found.item() if found.device.type == "cpu" else found


def largest(items: Sequence[Tensor]) -> list[Number]:
    """The largest absolute entry of each tensor, 0.0 for an empty one; NaN if any entry is."""
    found: list[Number] = [0.0] * len(items)
    for index, item in enumerate(items):
        values = item.coalesce()._values() if item.is_sparse else item
        if values.numel():
            found[index] = extent(values)
    return found


class Book:
    """All tracked tensors by id. Call its methods with torch functions disabled and gradients off."""

    def __init__(self) -> None:
        self.items: dict[int, Tracked] = {}
        self.closed = 0
        self._storages: dict[int, Tracked] = {}

    def add(self, tensors: Iterable[Tensor], *, buffer: bool = False) -> list[Tensor]:
        """Begin to follow these tensors, those already followed excepted; gives the new ones."""
        new = []
        for tensor in tensors:
            known = self.items.get(id(tensor))
            if known is None and measurable(tensor) and tensor.is_leaf:
                known = self.items[id(tensor)] = Tracked(tensor, buffer)
                known.rows = [Row() for _ in range(self.closed)]
                new.append(known)
        for item, scale in zip(new, largest([item.shadow for item in new]), strict=True):
            item.scale = scale
        if not buffer:
            beginnings.copies(new, () if self.closed else list(self.items.values()))
            for item in new:
                item.alike = beginnings.alike(item.shadow)
        return [item.tensor for item in new]

    def get(self, tensor: Tensor) -> Tracked | None:
        """The record of a tensor, if it is followed."""
        item = self.items.get(id(tensor))
        return item if item is not None and item.tensor is tensor else None

    def at(self, storage: int) -> Tracked | None:
        """The parameter that lies in this memory, if one does."""
        item = self._storages.get(storage)
        if item is None or item.tensor.untyped_storage()._cdata != storage:  # `p.data = …` moved one, or none is there
            self._storages = {each.tensor.untyped_storage()._cdata: each for each in self.parameters()}
            item = self._storages.get(storage)
        return item

    def parameters(self) -> list[Tracked]:
        """Everything followed but buffers."""
        return [item for item in self.items.values() if not item.buffer]

    def backward_begins(self) -> None:
        """Remember what gradients look like, to tell afterwards which parameters a backward reached."""
        for item in self.parameters():
            grad = item.tensor.grad
            item.before = None if grad is None else (id(grad), grad._version)

    def backward_ends(self) -> list[Tracked]:
        """The parameters that received gradient since `backward_begins`."""
        reached = []
        for item in self.parameters():
            grad = item.tensor.grad
            if grad is not None and item.before != (id(grad), grad._version):
                item.fresh = True
                reached.append(item)
        return reached

    def settle(self, only: Iterable[Tracked] | None = None) -> list[Tracked]:
        """Measure every gradient that arrived and has not been measured yet; gives the parameters that have those."""
        fresh = [item for item in (self.parameters() if only is None else only) if item.fresh]
        fresh = [item for item in fresh if item.tensor.grad is not None]
        for item, norm in zip(fresh, largest([item.tensor.grad.detach() for item in fresh]), strict=True):
            item.row.received, item.fresh = norm, False
        return fresh

    def updating(self, tensors: Sequence[tuple[Tensor, float | None]]) -> list[Tracked]:
        """An optimizer is about to use (or, for one with a closure, has used) the gradients of these tensors."""
        items = [(item, rate) for tensor, rate in tensors if (item := self.get(tensor)) is not None]
        measured = {id(item): item.row.received for item in self.settle()}
        with_gradient = [item for item, _ in items if item.tensor.grad is not None]
        others = [item for item in with_gradient if id(item) not in measured]
        measured.update(zip(map(id, others), largest([item.tensor.grad.detach() for item in others]), strict=True))
        for item, rate in items:
            item.row.rate = rate
        for item in with_gradient:
            norm = measured[id(item)]
            if item.used and item.leftover is not None:
                item.row.carried = item.leftover
            item.row.gradient, item.used, item.leftover = norm, True, norm
            if item.alike:
                item.row.spread = beginnings.apart(item.tensor.grad, item.alike)
        return with_gradient

    def clearing(self, tensors: Iterable[Tensor]) -> list[Tracked]:
        """Gradients are about to be cleared: measure those that nothing has used, and say which hold one."""
        items = [item for tensor in tensors if (item := self.get(tensor)) is not None]
        self.settle(items)
        return [item for item in items if item.tensor.grad is not None]

    def cleared(self, items: Iterable[Tracked]) -> list[Tracked]:
        """Of these, the ones whose gradient is now gone or zero (a fresh start for the next backward)."""
        gone = []
        for item in items:
            if item.tensor.grad is None or not bool(item.tensor.grad.detach().any()):
                item.used, item.leftover = False, None
                gone.append(item)
        return gone

    def close(self) -> None:
        """A step ends: compare every tensor with its copy, and renew the copies."""
        scratch: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        for item in self.items.values():
            item.row.update = _renew(item, scratch)
            item.row.requires_grad = item.tensor.requires_grad
            item.rows.append(item.row)
            item.row = Row()
        self.closed += 1


def _renew(item: Tracked, scratch: dict[tuple[torch.dtype, torch.device], Tensor]) -> Number:
    """How far a tensor lies from its copy, exactly 0 if and only if they are equal; the copy is renewed.

    A piece at a time through one small buffer: a difference as large as the tensor costs three times as much.
    """
    value, shadow = item.tensor.detach(), item.shadow
    if not _comparable(item):  # resized, moved or re-typed in place: certainly another value
        item.shadow = value.clone()
        return math.inf
    if not value.is_floating_point() or _short(value) or not value.is_contiguous() or not shadow.is_contiguous():
        changed = (value != shadow).any() if not value.is_floating_point() and not value.is_complex() else None
        found: Number = changed.float() if changed is not None else largest([_widened(value) - _widened(shadow)])[0]
        shadow.copy_(value)
        return found
    if not value.numel():
        return 0.0
    key = (value.dtype, value.device)
    if key not in scratch:
        scratch[key] = torch.empty(CHUNK, dtype=value.dtype, device=value.device)
    lows, highs = [], []
    for new, old in zip(value.view(-1).split(CHUNK), shadow.view(-1).split(CHUNK), strict=True):
        low, high = torch.aminmax(torch.sub(new, old, out=scratch[key][: new.numel()]))
        old.copy_(new)
        lows.append(low)
        highs.append(high)
    return _kept(*((lows[0], highs[0]) if len(lows) == 1 else (torch.stack(lows).amin(), torch.stack(highs).amax())))


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if _short(tensor) else tensor


def _comparable(item: Tracked) -> bool:
    value = item.tensor
    return value.shape == item.shadow.shape and value.dtype == item.shadow.dtype and value.device == item.shadow.device


def numbers(found: Sequence[Number]) -> list[float | None]:
    """Plain numbers for 0-dim tensors, and for an extent the largest absolute entry; one transfer a kind and device."""
    result: list[float | None] = [each if isinstance(each, float) else None for each in found]
    groups: dict[tuple[torch.device, torch.dtype], list[tuple[int, Tensor]]] = {}
    for index, each in enumerate(found):
        for part in each if isinstance(each, tuple) else (each,):
            if isinstance(part, Tensor) and not part.is_meta:  # which has a shape, and no number
                groups.setdefault((part.device, part.dtype), []).append((index, part.detach().reshape(())))
    for parts in groups.values():
        values = torch.stack([part for _, part in parts]).tolist()
        for (index, _), value in zip(parts, values, strict=True):
            if isinstance(found[index], tuple):
                known = result[index]
                value = abs(value) if known is None or not known >= abs(value) else known
            result[index] = float(value)
    return result
