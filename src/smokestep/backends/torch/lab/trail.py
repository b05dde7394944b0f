"""Trail: the operations of two runs of one call, side by side."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from smokestep.backends.torch import frames
from smokestep.backends.torch.lab.compare import spread
from smokestep.backends.torch.meters import measurable
from smokestep.backends.torch.quiet import quiet, unreal
from smokestep.backends.torch.vocabulary import bare_name, tensors_in
from smokestep.evidence.trials import Spread, Touch

Tensor = torch.Tensor


class Followed(TorchFunctionMode):
    """Keeps, for every public call, a copy of what it read and made. Only for few samples: it keeps everything."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[tuple[str, list[Tensor], list[Tensor], Any, tuple[Any, ...], Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = "" if unreal() else bare_name(func)
        if not name:
            return func(*args, **kwargs)
        with quiet():
            reads = [_copy(each) for each in tensors_in([args, kwargs]) if measurable(each)]
        result = func(*args, **kwargs)
        with quiet():
            makes = [_copy(each) for each in tensors_in(result) if measurable(each)]
        line, stack, _ = frames.trail()
        plain = {str(index): each for index, each in enumerate(args)} | kwargs
        known = tuple((key, each) for key, each in plain.items() if isinstance(each, (bool, int, float, str, tuple)))
        self.ops.append((name, reads, makes, line, stack, known))
        return result


def _copy(tensor: Tensor) -> Tensor:
    """Safe from later writes; parameters are not written to, and large."""
    return tensor.detach() if isinstance(tensor, torch.nn.Parameter) else tensor.detach().clone()


def touches(one: Followed, other: Followed) -> tuple[Touch, ...]:
    """The operations whose inputs or results differ, as far as both runs made the same ones."""
    found = []
    for first, second in zip(one.ops, other.ops, strict=False):
        name, reads, makes, line, stack, known = first
        if name != second[0] or len(reads) != len(second[1]) or len(makes) != len(second[2]):
            break
        before, after = _spreads(reads, second[1]), _spreads(makes, second[2])
        if any(each.touched for each in (*before, *after)):
            lines = tuple(shown for raw in stack if (shown := frames.line_of(raw)) is not None)
            plain = tuple((key, value) for key, value in known if not _holds_tensors(value))
            caller = lines[0] if lines else frames.line_of(line)
            found.append(Touch(name, before, after, frames.line_of(line), caller, "", plain, lines))
    return tuple(found)


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, tuple) and not all(isinstance(each, (bool, int, float, str)) for each in value)


def _spreads(ones: list[Tensor], others: list[Tensor]) -> tuple[Spread, ...]:
    return tuple(
        spread(one, other) if one.shape == other.shape else Spread(tuple(one.shape), (), False)
        for one, other in zip(ones, others, strict=True)
    )
