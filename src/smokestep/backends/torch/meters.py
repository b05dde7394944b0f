"""Meters: what happens to every parameter, as numbers: its gradients, and how far each step moved it.

One copy of the parameters is kept to compare with; each gradient is measured once for each time it is used. Numbers
stay small tensors until the recording ends, so that no device is waited for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from smokestep.backends.torch.quiet import plain

Tensor = torch.Tensor
CHUNK = 1 << 22  # entries compared at once: bounds the temporary memory of a comparison to 16 MiB of float32
Number = Tensor | float | None


class Row:
    """The numbers of one parameter in one step."""

    __slots__ = ("called", "carried", "gradient", "rate", "received", "requires_grad", "update")

    def __init__(self) -> None:
        self.gradient: Number = None
        self.received: Number = None
        self.carried: Number = None
        self.update: list[Number] = []
        self.rate: float | None = None
        self.called: bool | None = None
        self.requires_grad = True


class Tracked:
    """One parameter (or, when roles are declared, buffer) followed through the recording."""

    __slots__ = ("before", "buffer", "fresh", "leftover", "row", "rows", "scale", "shadow", "tensor", "used")

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


def batches(items: Sequence[Tensor]) -> Iterator[list[int]]:
    """Indices of tensors of one dtype and device, at most CHUNK entries at a time (a larger tensor comes alone)."""
    groups: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault((item.dtype, item.device), []).append(index)
    for indices in groups.values():
        chunk: list[int] = []
        total = 0
        for index in indices:
            if chunk and total + items[index].numel() > CHUNK:
                yield chunk
                chunk, total = [], 0
            chunk.append(index)
            total += items[index].numel()
        if chunk:
            yield chunk


def extent(tensor: Tensor) -> Tensor:
    """The least and greatest entry, as one small tensor: the cheapest exact way to the largest absolute one.

    On a CPU a maximum norm takes 13 ms for 4 M entries, `aminmax` 1; both carry NaN through.
    """
    return torch.stack(torch.aminmax(comparable(tensor)))


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
            if known is None and measurable(tensor):
                known = self.items[id(tensor)] = Tracked(tensor, buffer)
                known.rows = [Row() for _ in range(self.closed)]
                new.append(known)
        for item, scale in zip(new, largest([item.shadow for item in new]), strict=True):
            item.scale = scale
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

    def settle(self, only: Iterable[Tracked] | None = None) -> None:
        """Measure every gradient that arrived and has not been measured yet."""
        fresh = [item for item in (self.parameters() if only is None else only) if item.fresh]
        fresh = [item for item in fresh if item.tensor.grad is not None]
        for item, norm in zip(fresh, largest([item.tensor.grad.detach() for item in fresh]), strict=True):
            item.row.received, item.fresh = norm, False

    def updating(self, tensors: Sequence[tuple[Tensor, float | None]]) -> list[Tracked]:
        """An optimizer is about to use (or, for one with a closure, has used) the gradients of these tensors."""
        items = [(item, rate) for tensor, rate in tensors if (item := self.get(tensor)) is not None]
        self.settle()
        with_gradient = [item for item, _ in items if item.tensor.grad is not None]
        norms = largest([item.tensor.grad.detach() for item in with_gradient])
        for item, rate in items:
            item.row.rate = rate
        for item, norm in zip(with_gradient, norms, strict=True):
            if item.used and item.leftover is not None:
                item.row.carried = item.leftover
            item.row.gradient, item.used, item.leftover = norm, True, norm
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
        items = list(self.items.values())
        for chunk in batches([item.shadow for item in items]):
            part = [items[index] for index in chunk]
            same = [item for item in part if _comparable(item)]
            for item in part:
                if item not in same:  # resized, moved or re-typed in place: certainly another value
                    item.row.update.append(torch.tensor(math.inf))
                    item.shadow = item.tensor.detach().clone()
            if not same:
                continue
            values = [item.tensor.detach() for item in same]
            shadows = [item.shadow for item in same]
            if _short(values[0]):
                norms = largest([value.float() - shadow.float() for value, shadow in zip(values, shadows, strict=True)])
            elif values[0].is_floating_point() or values[0].is_complex():
                norms = largest(torch._foreach_sub(values, shadows))
            else:
                norms = [(value != shadow).any().float() for value, shadow in zip(values, shadows, strict=True)]
            torch._foreach_copy_(shadows, values)
            for item, norm in zip(same, norms, strict=True):
                item.row.update.append(norm)
        for item in items:
            item.row.requires_grad = item.tensor.requires_grad
            item.rows.append(item.row)
            item.row = Row()
        self.closed += 1


def _comparable(item: Tracked) -> bool:
    value = item.tensor
    return value.shape == item.shadow.shape and value.dtype == item.shadow.dtype and value.device == item.shadow.device


def numbers(found: Sequence[Number]) -> list[float | None]:
    """Plain numbers for 0-dim tensors, and for an extent the largest absolute entry; one transfer a device."""
    result: list[float | None] = [None if each is None else each if isinstance(each, float) else 0.0 for each in found]
    groups: dict[torch.device, list[int]] = {}
    for index, each in enumerate(found):
        if isinstance(each, Tensor):
            groups.setdefault(each.device, []).append(index)
    for indices in groups.values():
        stacked = torch.stack([_real(found[index]).expand(2) for index in indices])
        for index, (low, high) in zip(indices, stacked.tolist(), strict=True):
            plain = found[index].dim() == 0
            result[index] = high if plain else max(abs(low), abs(high))
    return result


def _real(value: Any) -> Tensor:
    return value.detach().to(torch.float64 if value.device.type != "mps" else torch.float32)
