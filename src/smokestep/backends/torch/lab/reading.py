"""Reading: entries of small tensors and plain attributes of a model, as numbers, for what an experiment must infer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from smokestep.backends.torch.lab.capture import change
from smokestep.backends.torch.meters import measurable
from smokestep.evidence.trials import Edit

MOST = 1 << 16  # entries handed over: some milliseconds


def entries(tensors: Iterable[tuple[str, torch.Tensor]], name: str, edits: Sequence[Edit]) -> tuple[float, ...]:
    """The entries of the tensor of this name, edited, in order; none where it has too many, or is of an odd kind."""
    for known, tensor in tensors:
        if known == name and measurable(tensor) and not tensor.is_complex():
            edited = change(tensor, {id(tensor): name}, edits)
            return tuple(map(float, edited.flatten().tolist())) if edited.numel() <= MOST else ()
    return ()


def attributes(model: nn.Module, name: str) -> tuple[tuple[str, float], ...]:
    """The attributes of this name that are plain numbers: (path of the module, number)."""
    found = ((path, vars(module).get(name)) for path, module in model.named_modules())
    return tuple((path, float(each)) for path, each in found if isinstance(each, (int, float)))
