"""Answers: what a recognised loss compared in the recorded step, kept small: the target, and a few entries of each row.

Nothing keeps the history of a tensor, or a large tensor alive; what belongs to earlier steps is let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from smokestep.backends.torch import losses
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import measurable

Tensor = torch.Tensor
WIDTH = 16  # entries of a row of scores by which it is known again: float rows that agree in 16 entries are one row
TOKENS = 1 << 20  # entries up to which whole numbers are kept: 8 MiB
WHOLE = 1 << 18  # entries up to which all of a real tensor is kept: 1 MiB in single precision
ANSWERS = 64  # loss calls kept in one step


@dataclass(slots=True)
class Answer:
    """One loss call. `prediction`: its rows, the first entries of each, class last; all of it without classes.

    `inside`: the call of a root model it was made in. `nth`: how many calls of this name on this line came before, in
    that call or in the step. `counted`: which entries of the target got gradient, where that says more than
    `ignore_index`; None while no gradient came.
    """

    seen: losses.Seen
    index: int
    line: Raw | None
    target: Tensor
    prediction: Tensor
    inside: Any
    nth: int
    weighed: bool
    counted: Tensor | None = None


def rows(tensor: Tensor, class_dim: int | None) -> Tensor:
    """The tensor with its classes last."""
    return tensor if class_dim is None else tensor.movedim(class_dim, -1)


def answer(
    seen: losses.Seen, index: int, line: Raw | None, pair: tuple[Tensor, Tensor | None], inside: Any, nth: int
) -> Answer | None:
    """Keep what one loss compared; None where it is no row of scores for each entry of a target, or too large."""
    prediction, target = pair
    if target is None or not (measurable(prediction) and measurable(target)) or prediction.is_complex():
        return None
    if target.dim() == 0 or not 0 < target.numel() <= TOKENS or target.dtype == torch.bool:
        return None
    classed = seen.class_dim is not None and not target.is_floating_point()
    kept = rows(prediction, seen.class_dim)[..., :WIDTH] if classed else prediction
    if (kept.shape[:-1] if classed else kept.shape) != target.shape:
        return None
    if kept.numel() > (TOKENS if classed else WHOLE):
        return None
    weighed = seen.reduction == "none" or seen.weighted
    made = Answer(seen, index, line, target.detach().clone(), kept.detach().clone(), inside, nth, weighed)
    if weighed and prediction.requires_grad:

        def arrived(gradient: Tensor) -> None:
            touched = gradient.detach() != 0
            made.counted = rows(touched, seen.class_dim).any(-1) if classed else touched

        _ = prediction.grad_fn  # as in the tracer: register_hook on a view written in place needs it read
        prediction.register_hook(arrived)
    return made


@dataclass(slots=True)
class Returned:
    """One output of a model's call as it was recorded: a few entries of each row, with the classes last or second; and
    all of it where it is small."""

    narrow: list[Tensor]
    whole: Tensor | None


def returned(tensor: Tensor) -> Returned | None:
    """Keep a few entries of each row of an output."""
    if not measurable(tensor) or not tensor.is_floating_point() or tensor.dim() < 2 or not tensor.numel():
        return None
    tensor = tensor.detach()
    some = [tensor[..., :WIDTH]] + ([tensor[:, :WIDTH].movedim(1, -1)] if tensor.dim() > 2 else [])
    narrow = [each.clone() for each in some if each.numel() <= TOKENS]
    return Returned(narrow, tensor.clone() if tensor.numel() <= WHOLE else None)
