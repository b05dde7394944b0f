"""Loads: hears what is loaded into modules, and which of the states that they give are kept as they are.

A state is known by its tensors, held weakly: a copy of them has others, a copy of the dict around them has the same.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.frames import Raw, line_of
from smokestep.backends.torch.trace import storage
from smokestep.evidence.loading import Kept, Load, Loading

Tensor = torch.Tensor
MANY = 64  # states; a loop that makes more keeps the rest as it keeps these


class LoadLog:
    """What one recording has heard of states."""

    def __init__(self) -> None:
        self._loads: list[tuple[nn.Module, bool, int, list[str], list[str], Raw | None]] = []
        self._states: list[tuple[nn.Module, list[Callable[[], Tensor | None]], Raw | None]] = []

    def loaded(self, module: nn.Module, strict: bool, given: int, result: Any, line: Raw | None) -> None:
        """`load_state_dict` was called on a module, and gave `result`."""
        missing, unexpected = getattr(result, "missing_keys", None), getattr(result, "unexpected_keys", None)
        if isinstance(missing, list) and isinstance(unexpected, list):
            self._loads.append((module, strict, given, missing, unexpected, line))

    def gave(self, module: nn.Module, state: Any, line: Raw | None) -> None:
        """A module gave its state, in a step."""
        if isinstance(state, dict) and len(self._states) < MANY:
            tensors = [each for each in state.values() if isinstance(each, Tensor) and not each.requires_grad]
            self._states.append((module, [weakref.ref(each) for each in tensors], line))

    def finish(self, held: set[int], live: bool) -> Loading:
        """The evidence; `held` are the parameters that optimizers hold."""
        loads = []
        for index, (module, strict, given, missing, unexpected, line) in enumerate(self._loads):
            after = (m for m, _, size, _, rest, _ in self._loads[index + 1 :] if size > len(rest))
            later = any(module is each for above in after for each in above.modules())
            # one state offered to several modules, of which some have no part in it
            later = later or any(
                size > len(rest) for m, _, size, _, rest, at in self._loads if at == line and m is not module
            )
            name, matched = type(module).__name__, given - len(unexpected)
            if not strict:
                first, other = (missing or [""])[0], (unexpected or [""])[0]
                loads.append(Load(name, given, matched, first, other, later, line_of(line)))
        kept = []
        if any(ref() is not None for _, tensors, _ in self._states for ref in tensors):
            gc.collect()  # what only a ring of references holds is not kept
        for module, tensors, line in self._states:
            alive = [each for ref in tensors if (each := ref()) is not None]
            own = {storage(each): each for each in module.parameters()}
            same = [own[storage(each)] for each in alive if storage(each) in own]
            if own and alive and len(alive) == len(tensors) and same:
                trains = any(id(each) in held for each in same)
                kept.append(Kept(type(module).__name__, len(same), trains, line_of(line)))
        return Loading(tuple(loads), tuple(kept), live)
