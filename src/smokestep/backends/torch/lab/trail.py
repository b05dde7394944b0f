"""Trail: the operations of one call, and of two runs of it side by side."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from smokestep.backends.torch import frames
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.lab.compare import spread
from smokestep.backends.torch.meters import comparable, measurable
from smokestep.backends.torch.quiet import quiet, unreal
from smokestep.backends.torch.vocabulary import bare_name, tensors_in
from smokestep.evidence.trials import Spread, Touch

Tensor = torch.Tensor


@dataclass(slots=True)
class Kept:
    """One public call: copies of what it read and made."""

    name: str
    reads: list[Tensor]
    makes: list[Tensor]
    line: Raw | None
    stack: tuple[Raw, ...]
    module: str
    args: tuple[tuple[str, Any], ...]
    learned: bool

    def touch(self, reads: tuple[Spread, ...] = (), makes: tuple[Spread, ...] = ()) -> Touch:
        """The operation as evidence."""
        lines = tuple(shown for raw in self.stack if (shown := frames.line_of(raw)) is not None)
        line = frames.line_of(self.line)
        caller = lines[0] if lines else line
        return Touch(self.name, reads, makes, line, caller, self.module, self.args, self.learned, lines)


class Followed(TorchFunctionMode):
    """Keeps, for every public call, a copy of what it read and made. Only for few samples: it keeps everything."""

    def __init__(self, module: nn.Module | None = None) -> None:
        super().__init__()
        self.ops: list[Kept] = []
        self._paths = {id(each): path for path, each in (module.named_modules() if module else ())}
        self._running: list[str] = []
        self._hooks = ExitStack()

    def __enter__(self) -> Followed:
        def begins(module: nn.Module, *_: Any) -> None:
            self._running.append(self._paths.get(id(module), ""))

        def ends(module: nn.Module, *_: Any) -> None:
            self._running.pop()

        self._hooks.callback(register_module_forward_pre_hook(begins).remove)
        self._hooks.callback(register_module_forward_hook(ends).remove)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._hooks.close()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = "" if unreal() else bare_name(func)
        if not name:
            return func(*args, **kwargs)
        with quiet():
            given = [each for each in tensors_in([args, kwargs]) if measurable(each)]
            reads = [_copy(each) for each in given]
        result = func(*args, **kwargs)
        with quiet():
            makes = [_copy(each) for each in tensors_in(result) if measurable(each)]
        line, stack, _ = frames.trail()
        plain = {str(index): each for index, each in enumerate(args)} | kwargs
        known = tuple((key, each) for key, each in plain.items() if _plain(each))
        learned = any(isinstance(each, nn.Parameter) for each in given)
        path = self._running[-1] if self._running else ""
        self.ops.append(Kept(name, reads, makes, line, stack, path, known, learned))
        return result


def touches(one: Followed, other: Followed) -> tuple[Touch, ...]:
    """The operations whose inputs or results differ, as far as both runs made the same ones."""
    found = []
    for first, second in zip(one.ops, other.ops, strict=False):
        if first.name != second.name or [len(first.reads), len(first.makes)] != [len(second.reads), len(second.makes)]:
            break
        before, after = _spreads(first.reads, second.reads), _spreads(first.makes, second.makes)
        if any(each.touched for each in (*before, *after)):
            found.append(first.touch(before, after))
    return tuple(found)


def stray(run: Followed, size: int) -> Touch | None:
    """The first operation that reads rows alike and makes rows unlike, along a dimension of this size."""
    for op in run.ops:
        alike = [dim for each in op.reads for dim in range(each.dim()) if each.shape[dim] == size and _alike(each, dim)]
        if alike and any(
            each.dim() > dim and each.shape[dim] == size and not _alike(each, dim) for dim in alike for each in op.makes
        ):
            return op.touch(_spreads(op.reads, op.reads), _spreads(op.makes, op.makes))
    return None


def _alike(tensor: Tensor, dim: int) -> bool:
    """Whether all slices along a dimension are equal, to a few roundings."""
    plain = comparable(tensor)
    first = plain.narrow(dim, 0, 1).expand_as(plain)
    if not plain.is_floating_point():
        return bool((plain == first).all())
    return bool(torch.allclose(plain, first, rtol=1e-3, atol=1e-6, equal_nan=True))


def _copy(tensor: Tensor) -> Tensor:
    """Safe from later writes; parameters are not written to, and large."""
    return tensor.detach() if isinstance(tensor, nn.Parameter) else tensor.detach().clone()


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(each, (bool, int, float, str)) for each in value)
    return isinstance(value, (bool, int, float, str))


def _spreads(ones: list[Tensor], others: list[Tensor]) -> tuple[Spread, ...]:
    return tuple(
        spread(one, other) if one.shape == other.shape else Spread(tuple(one.shape), (), False)
        for one, other in zip(ones, others, strict=True)
    )
