"""Compare: what two outcomes differ by, as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from smokestep.backends.torch.meters import comparable, measurable
from smokestep.evidence.trials import Difference, Spread
from smokestep.evidence.trials import Tensor as Described

Tensor = torch.Tensor
SHOWN = 64  # indices of a dimension that are told
ROUNDING = 1e-6  # of the scale: sequences packed in another order round differently in the last bits


def described(name: str, tensor: Tensor, value: int | None = None) -> Described:
    """The description of a tensor."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    low = high = None
    if measurable(tensor) and tensor.numel() and tensor.dtype != torch.bool:
        low, high = (float(each) for each in torch.aminmax(comparable(tensor)))
    return Described(name, () if tensor.is_nested else tuple(tensor.shape), dtype, value, low, high)


def gap(one: Tensor, other: Tensor) -> Tensor:
    """|one - other|, 0 where both are the same NaN or infinity, infinite where only one is finite."""
    first, second = comparable(one), comparable(other)
    if not first.is_floating_point():
        return (first != second).double()
    same = (first == second) | (first.isnan() & second.isnan())
    return torch.where(same, 0.0, (first.double() - second.double()).abs()).nan_to_num(nan=torch.inf)


def difference(
    name: str, one: Tensor, other: Tensor, dim: int, at: Sequence[int] | None, eps: float
) -> Difference | None:
    """How far two tensors differ at every index of `dim`; of the second the indices `at` are taken."""
    if not (measurable(one) and measurable(other)) or min(one.dim(), other.dim()) <= dim or not one.numel():
        return None
    if at is not None:
        if max(at) >= other.shape[dim]:
            return None
        other = other.index_select(dim, torch.tensor(list(at), device=other.device))
    if one.shape != other.shape or one.dtype != other.dtype:
        return None
    apart = gap(one, other)
    largest = apart.amax([d for d in range(apart.dim()) if d != dim]) if apart.dim() > 1 else apart
    own = torch.finfo(one.dtype).eps if one.is_floating_point() or one.is_complex() else 2.0**-24
    return Difference(name, tuple(largest.double().tolist()), _scale(one), max(own, eps))


def _scale(tensor: Tensor) -> float:
    finite = comparable(tensor)[comparable(tensor).isfinite()] if tensor.dtype != torch.bool else tensor
    return float(finite.double().abs().max()) if finite.numel() else 0.0


def spread(one: Tensor, other: Tensor) -> Spread:
    """Where two tensors of one shape differ, by more than rounding."""
    apart = gap(one, other) > ROUNDING * _scale(one)
    if not apart.dim():
        return Spread((), (), bool(apart))
    sides = [
        apart.any(dim=[d for d in range(apart.dim()) if d != dim]) if apart.dim() > 1 else apart
        for dim in range(apart.dim())
    ]
    filled = 1
    for side in sides:
        filled *= int(side.sum())
    indices = tuple(tuple(side.nonzero().flatten()[:SHOWN].tolist()) for side in sides)
    return Spread(tuple(one.shape), indices, filled == int(apart.sum()))
