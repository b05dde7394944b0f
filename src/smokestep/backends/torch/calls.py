"""Calls: what is kept of each event and of each call of a root model, and how their arguments are read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import Tracked

Tensor = torch.Tensor


class Noted:
    """One event while the recording runs; `index` orders it with the operations of the trace."""

    __slots__ = ("detail", "index", "kind", "line", "subject", "tensors")

    def __init__(self, index: int, kind: str, line: Raw | None, subject: Any) -> None:
        self.index, self.kind, self.line, self.subject = index, kind, line, subject
        self.tensors: list[Tracked] = []
        self.detail: dict[str, Any] = {}


class Called:
    """One call of a root model."""

    def __init__(self, event: Noted, module: nn.Module, inputs: list[tuple[str, int]], varied: bool) -> None:
        self.event, self.module, self.inputs, self.varied = event, module, inputs, varied
        self.training, self.grad = module.training, torch.is_grad_enabled()
        self.outputs: list[int] = []
        self.spread: list[Tensor | None] = []
        self.ranges: list[Tensor | None] = []


def arguments(module: nn.Module, args: Sequence[Any]) -> Iterable[tuple[str, Tensor]]:
    """The tensors among positional arguments, under the names that the model's forward gives them."""
    try:
        names = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        names = []
    for index, value in enumerate(args):
        yield from flat(value, names[index] if index < len(names) and names[index] != "args" else f"argument {index}")


def flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif depth < 4 and isinstance(value, Mapping):
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}".lstrip("."), depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from flat(each, f"{name}.{index}", depth + 1)


def varies(tensor: Tensor) -> bool:
    if (
        tensor.dim() == 0
        or tensor.shape[0] < 2
        or tensor.layout is not torch.strided
        or tensor.is_meta
        or not tensor.numel()
    ):
        return False
    plain = tensor.detach()[:64]
    return bool((plain[1:] != plain[:1]).any())


def spread(tensor: Tensor) -> Tensor | None:
    if (
        not tensor.is_floating_point()
        or tensor.dim() == 0
        or tensor.shape[0] < 2
        or not tensor.numel()
        or tensor.layout is not torch.strided
    ):
        return None
    low, high = torch.aminmax(tensor.detach(), dim=0)
    return (high - low).max()


def extremes(tensor: Tensor) -> Tensor | None:
    if not tensor.is_floating_point() or not tensor.numel() or tensor.layout is not torch.strided or tensor.is_meta:
        return None
    return torch.stack(torch.aminmax(tensor.detach()))
