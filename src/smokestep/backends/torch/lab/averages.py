"""Averages: which tensors that a model keeps move, call by call on one input, as a running average does.

An average that sees the same value again moves by the same fraction of what is left, in every entry; a hidden state, a
queue or a cache does not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.quiet import quiet
from smokestep.backends.torch.reach import reachable

Tensor = torch.Tensor
UNIFORM = 1e-2  # of a step: the rounding of the statistics themselves, in the steps of a slow average
LARGE = 2**24  # entries; a larger tensor is no statistic


class Averages:
    """Enter it around each call; it keeps copies of the tensors that the model keeps besides its parameters."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._states: list[dict[str, Tensor]] = []

    def __enter__(self) -> None:
        if not self._states:
            self._keep()

    def __exit__(self, *error: Any) -> None:
        self._keep()

    def _keep(self) -> None:
        with quiet():
            self._states.append(
                {
                    name: each.detach().clone()
                    for name, each in reachable(self._module).items()
                    if isinstance(each, Tensor)
                    and not isinstance(each, nn.Parameter)
                    and not each.requires_grad
                    and each.is_floating_point()
                    and 1 < each.numel() <= LARGE
                }
            )

    def found(self) -> tuple[str, ...]:
        """The names of those that moved so in every call."""
        with quiet():
            return tuple(name for name in self._states[0] if _averages([each.get(name) for each in self._states]))


def _averages(values: list[Tensor | None]) -> bool:
    known = [each.double() for each in values if each is not None and values[0] is not None]
    if len(known) != 4 or len({each.shape for each in known}) != 1:
        return False
    steps = [after - before for before, after in zip(known, known[1:], strict=False)]
    largest = steps[0].abs().max()
    if not torch.isfinite(largest) or largest <= 1e-4 * known[0].abs().max() or int((steps[0] != 0).sum()) < 2:
        return False
    for one, other in zip(steps, steps[1:], strict=False):
        fraction = (one * other).sum() / (one * one).sum()
        if not 0 < fraction < 1 or (other - fraction * one).abs().max() > UNIFORM * one.abs().max():
            return False
    return True
