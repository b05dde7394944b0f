"""Beginnings: what parameters held when they were first seen, where that says something about how they can train.

Two things are looked for, exactly and once: slices of one tensor that are all the same, and tensors that are copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from smokestep.backends.torch.fills import copied_at, filled_at
from smokestep.evidence.beginnings import Beginning, Beginnings, Copies

if TYPE_CHECKING:
    from smokestep.backends.torch.assembly import Assembly
    from smokestep.backends.torch.meters import Tracked

Tensor = torch.Tensor
SAMPLE = 16  # entries by which tensors are first compared; only what agrees in them is compared entry by entry
LEAST = 4  # tensors of fewer entries are alike by chance, or because they are scales of 1


def alike(tensor: Tensor) -> tuple[int, ...]:
    """Of the first two dimensions of a matrix (or more), those along which all slices are bit for bit the same."""
    if tensor.dim() < 2 or not tensor.numel() or not tensor.is_floating_point() or tensor.element_size() < 2:
        return ()
    return tuple(
        dim
        for dim in (0, 1)
        if tensor.shape[dim] > 1
        and bool(torch.equal(tensor.select(dim, 0), tensor.select(dim, 1)))
        and bool((tensor == tensor.narrow(dim, 0, 1)).all())
    )


def apart(gradient: Tensor, dims: Iterable[int]) -> tuple[float | None, ...]:
    """For each dimension, how far the slices of a gradient lie from the first, beside the largest entry; None if it is
    zero, or not finite."""
    if gradient.is_sparse:
        gradient = gradient.to_dense()
    wide = gradient.detach().float() if gradient.element_size() < 4 else gradient.detach()
    largest = float(wide.abs().max())
    if not 0.0 < largest < float("inf"):
        return tuple(None for _ in dims)
    return tuple(float((wide - wide.narrow(dim, 0, 1)).abs().max()) / largest for dim in dims)


def copies(new: Sequence[Tracked], known: Iterable[Tracked]) -> None:
    """Tell every tensor newly followed of those, followed already, that hold the same entries; constants are none."""
    groups: dict[Any, list[Tracked]] = {}
    for item in known:
        if item.sample is not None and item.sample not in groups:
            groups[item.sample] = [item]
    for item in new:
        item.sample = _sample(item.shadow)
        if item.sample is None:
            continue
        group = groups.setdefault(item.sample, [])
        first = next((each for each in group if _same(each, item)), None)
        if first is not None:
            item.original = first
        group.append(item)


def _sample(tensor: Tensor) -> Any:
    if tensor.numel() < LEAST or not tensor.is_floating_point() or tensor.element_size() < 2:
        return None
    flat = tensor.reshape(-1)
    values = tuple(flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE].tolist())
    return (tuple(tensor.shape), tensor.dtype, tensor.device, values) if len(set(values)) > 1 else None


def _same(one: Tracked, other: Tracked) -> bool:
    return torch.equal(one.shadow, other.shadow)


def evidence(assembly: Assembly) -> Beginnings:
    """What the beginnings say, under the names that the report uses."""
    some, files = [], assembly.files()
    groups: dict[int, list[Tracked]] = {}
    for item in assembly.recorder.book.parameters():
        name = assembly.name(item)
        if item.original is not None:
            groups.setdefault(id(item.original), [item.original]).append(item)
        if name and item.alike:
            module = assembly.models.owner.get(id(item.tensor))
            line = filled_at(assembly.models, module, name, files) if module is not None else None
            some.append(Beginning(name, item.alike, tuple(row.spread for row in item.rows), line))
    pairs = [pair for group in groups.values() for pair in _pairs(assembly, group, files)]
    return Beginnings(tuple(some), tuple(pairs))


def _pairs(assembly: Assembly, group: list[Tracked], files: Sequence[str]) -> Iterator[Copies]:
    """Each of a group that began alike with one of them: with one that trains, if one does, not with a target."""
    group = [item for item in group if assembly.name(item)]
    if not group:
        return
    first, *others = sorted(group, key=lambda item: not any(row.gradient is not None for row in item.rows))
    for item in others:
        one, other = first.tensor.detach(), item.tensor.detach()
        shared = one.data_ptr() == other.data_ptr()
        still = shared or (one.shape == other.shape and torch.equal(one, other))
        module = assembly.models.owner.get(id(item.tensor))
        name = assembly.name(item)
        line = copied_at(assembly.models, module, name, files) if module is not None else None
        yield Copies(assembly.name(first), name, still, shared, line)
