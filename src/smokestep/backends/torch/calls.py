"""Calls: what is kept of each event and of each call of a root model, and how their arguments are read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import Tracked, comparable, measurable

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

    def __init__(
        self, event: Noted, module: nn.Module, inputs: list[tuple[str, int]], varied: bool, grad: bool
    ) -> None:
        self.event, self.module, self.inputs, self.varied = event, module, inputs, varied
        self.training, self.grad = module.training, grad
        self.outputs: list[int] = []
        self.spread: list[Tensor | None] = []
        self.ranges: list[Tensor | None] = []
        self.given: Any = None  # what it was given, if the call can be made again
        self.returned: list[Any] = []  # then also a few entries of each row of its outputs


def arguments(module: nn.Module, args: Sequence[Any]) -> Iterable[tuple[str, Tensor]]:
    """The tensors among positional arguments, under the names that the model's forward gives them."""
    try:
        names = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        names = []
    for index, value in enumerate(args):
        yield from flat(value, names[index] if index < len(names) and names[index] != "args" else f"argument {index}")


def flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested arguments, each with its path."""
    if isinstance(value, Tensor):
        yield name, value
    elif depth < 4 and isinstance(value, Mapping):
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}".lstrip("."), depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from flat(each, f"{name}.{index}", depth + 1)


def varies(tensor: Tensor) -> bool:
    """Whether the first rows of a tensor differ from each other."""
    if not measurable(tensor) or tensor.dim() == 0 or tensor.shape[0] < 2 or not tensor.numel():
        return False
    plain = tensor.detach()[:64]
    return bool((plain[1:] != plain[:1]).any())


def spread(tensor: Tensor) -> Tensor | None:
    """The largest difference between rows of dimension 0; None where there are no rows to compare."""
    if not measurable(tensor) or not tensor.is_floating_point() or not tensor.numel():
        return None
    if tensor.dim() == 0 or tensor.shape[0] < 2:
        return None
    low, high = torch.aminmax(comparable(tensor), dim=0)
    return (high - low).max()


def extremes(tensor: Tensor) -> Tensor | None:
    """The least and greatest entry of an output, None where it has none."""
    if not measurable(tensor) or not tensor.is_floating_point() or not tensor.numel():
        return None
    return torch.stack(torch.aminmax(comparable(tensor)))


def number(value: Any) -> float | None:
    """A plain number, of a learning rate or a limit that may be a tensor."""
    return float(value) if isinstance(value, (int, float, Tensor)) else None
