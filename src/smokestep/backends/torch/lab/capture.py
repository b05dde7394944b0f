"""Capture: the arguments of a model's call, kept without their history, and edited copies of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.calls import arguments, flat
from smokestep.backends.torch.meters import measurable
from smokestep.backends.torch.quiet import plain
from smokestep.evidence.trials import Edit, Extend, Other, Put, Take

Tensor = torch.Tensor
PLAIN = (type(None), bool, int, float, complex, str, torch.dtype, torch.device)
CALLS = 4  # of one model in one step: one run over time is called with the same kind of input


class Given:
    """What one call was given and returned. `wanting`: names of the arguments that required gradient."""

    __slots__ = ("_autocast", "args", "grad", "kwargs", "names", "returned", "wanting")

    def __init__(self, module: nn.Module, args: Any, kwargs: Any, output: Any, grad: bool) -> None:
        self.grad = grad
        self.names = list(_positional(module, args))
        named = [*arguments(module, args), *flat(kwargs or {}, "")]
        self.wanting = frozenset(name for name, tensor in named if tensor.requires_grad)
        self.args = tuple(mapped(each, _bare) for each in args)
        self.kwargs = mapped(dict(kwargs or {}), _bare)
        self.returned = [name for name, _ in flat(output, "")]
        kinds = {tensor.device.type for _, tensor in named} | {"cpu"}
        kinds = {each for each in kinds if torch.amp.is_autocast_available(each)}  # not on "meta"
        self._autocast = {k: torch.get_autocast_dtype(k) for k in kinds if torch.is_autocast_enabled(k)}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor among the arguments, by name."""
        for each, name in zip(self.args, self.names, strict=True):
            yield from flat(each, name)
        yield from flat(self.kwargs, "")

    def others(self) -> Iterator[str]:
        """The arguments that are neither tensors nor plain values."""
        for each, name in [*zip(self.args, self.names, strict=True), *((v, k) for k, v in self.kwargs.items())]:
            if not isinstance(each, (*PLAIN, Tensor, list, tuple, Mapping)):
                yield name

    def autocast(self) -> AbstractContextManager[Any]:
        """The automatic casting under which the call was made."""
        stack = ExitStack()
        for kind, dtype in self._autocast.items():
            stack.enter_context(torch.autocast(kind, dtype=dtype))
        return stack

    def eps(self) -> float:
        """The relative rounding of the coarsest type that the call computed in by automatic casting, 0 if none."""
        return max((torch.finfo(dtype).eps for dtype in self._autocast.values()), default=0.0)


def _bare(tensor: Tensor) -> Tensor:
    return tensor.detach() if plain(tensor) else tensor


def _positional(module: nn.Module, args: Sequence[Any]) -> Iterator[str]:
    """The names under which `calls.arguments` tells the tensors of each positional argument."""
    marks = [torch.empty(0, device="meta") for _ in args]
    named = {id(tensor): name for name, tensor in arguments(module, marks)}
    yield from (named[id(mark)] for mark in marks)


def mapped(tree: Any, function: Callable[[Tensor], Tensor], depth: int = 0) -> Any:
    """The same structure with `function` of every tensor; what is no plain container is handed on as it is."""
    if isinstance(tree, Tensor):
        return function(tree)
    if depth > 4:
        return tree
    if isinstance(tree, Mapping):
        new = {key: mapped(each, function, depth + 1) for key, each in tree.items()}
        if type(tree) is dict:
            return new
        made = copy.copy(tree)
        for key, each in new.items():
            made[key] = each
        return made
    if isinstance(tree, (list, tuple)):
        items = [mapped(each, function, depth + 1) for each in tree]
        if hasattr(tree, "_make"):
            return tree._make(items)
        return type(tree)(items) if type(tree) in (list, tuple) else tree
    if hasattr(tree, "__dataclass_fields__") and not isinstance(tree, type):
        made = copy.copy(tree)
        for key in tree.__dataclass_fields__:
            object.__setattr__(made, key, mapped(getattr(tree, key, None), function, depth + 1))
        return made
    return tree


def change(tree: Any, names: Mapping[int, str], edits: Sequence[Edit], made: list[Any] | None = None) -> Any:
    """A copy of nested arguments with the edits applied to the tensors of these names (by identity); `made` gets every
    tensor of the copy, with its name."""

    def new(tensor: Tensor) -> Tensor:
        name, edited = names.get(id(tensor)), tensor
        for edit in edits:
            if name is not None and (name in edit.arguments if isinstance(edit, Take) else name == edit.argument):
                edited = _applied(edit, edited)
        if edited is tensor and measurable(tensor):
            edited = tensor.detach().clone().requires_grad_(tensor.requires_grad)
        if made is not None:
            made.append((name or "", edited))
        return edited

    return mapped(tree, new)


def edited(given: Given, edits: Sequence[Edit]) -> tuple[tuple[Any, ...], dict[str, Any], list[tuple[str, Tensor]]]:
    """Copies of the arguments, edited, and every tensor among them by name."""
    names, made = {id(tensor): name for name, tensor in given.tensors()}, []
    args, kwargs = change((given.args, given.kwargs), names, edits, made)
    return args, kwargs, made


def _applied(edit: Edit, tensor: Tensor) -> Tensor:
    if isinstance(edit, Take):
        return tensor.index_select(edit.dim, torch.tensor(edit.indices, device=tensor.device))
    if isinstance(edit, Extend):
        shape = list(tensor.shape)
        shape[edit.dim] = edit.count
        filled = tensor.new_full(shape, edit.value)
        return torch.cat([filled, tensor] if edit.front else [tensor, filled], edit.dim)
    new, place = tensor.clone(), _place(tensor, edit.where)
    if isinstance(edit, Put):
        new[place] = edit.value
    elif isinstance(edit, Other):
        new[place] = _other(tensor, place)
    return new


def _place(tensor: Tensor, where: Any) -> Tensor:
    """A mask of the entries meant."""
    mask = torch.ones(tensor.shape, dtype=torch.bool, device=tensor.device)
    for dim, indices in where:
        along = torch.zeros(tensor.shape[dim], dtype=torch.bool, device=tensor.device)
        along[list(indices)] = True
        mask &= along.view([-1 if d == dim else 1 for d in range(tensor.dim())])
    return mask


def _other(tensor: Tensor, place: Tensor) -> Tensor:
    """Other entries for the place, the same at every call: deterministic, and different from what stands there."""
    old = tensor[place]
    if tensor.dtype == torch.bool:
        return ~old
    if not tensor.is_floating_point():
        kinds = tensor.unique()
        return kinds[(torch.searchsorted(kinds, old) + 1) % len(kinds)] if len(kinds) > 1 else (old == 0).to(old.dtype)
    draws = torch.Generator("cpu").manual_seed(0)
    finite = tensor[tensor.isfinite()].double()
    width = float(finite.std()) if finite.numel() > 1 else 0.0
    noise = torch.randn(old.shape, generator=draws, dtype=torch.double, device=draws.device).to(old.device)
    return (old.double() + (width or 1.0) * (noise.sign() * 0.5 + noise)).to(old.dtype)
