"""Beside: two runs of one call over sequences of different length, side by side where both have entries.

The shorter run is kept, and the longer one is compared with it while it runs, so that only the shorter is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from smokestep.backends.lengths import WAYS, ways_of
from smokestep.backends.torch.lab.compare import gap
from smokestep.backends.torch.lab.trail import Followed, Kept
from smokestep.backends.torch.meters import comparable, measurable
from smokestep.backends.torch.quiet import quiet, unreal
from smokestep.backends.torch.vocabulary import bare_name, tensors_in
from smokestep.evidence.trials import Spread, Touch

Tensor = torch.Tensor
SAME, APART = Spread((), (), False), Spread((), (), True)


class Beside(TorchFunctionMode):
    """Compares every operation of a run with the same one of a shorter run. `kept`: which `size` entries that one has.

    `touches`: the operations that read or make something that differs, as `Touch` tells it, without the indices.
    """

    def __init__(self, shorter: Followed, size: int, kept: Sequence[int], tolerance: float) -> None:
        super().__init__()
        self._ops: Iterator[Kept] | None = iter(shorter.ops)
        self._size, self._kept, self._tolerance = size, tuple(kept), tolerance
        self.touches: list[Touch] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = "" if unreal() else bare_name(func)
        short = next(self._ops, None) if name and self._ops is not None else None
        if short is None or short.name != name:
            self._ops = self._ops if not name else None  # from here on the two do different things
            return func(*args, **kwargs)
        with quiet():
            before = self._spreads(short.reads, [args, kwargs])
        result = func(*args, **kwargs)
        with quiet():
            after = self._spreads(short.makes, result)
        if any(each.touched for each in (*before, *after)):
            self.touches.append(short.touch(before, after))
        return result

    def _spreads(self, short: Sequence[Tensor], tree: Any) -> tuple[Spread, ...]:
        long = [each for each in tensors_in(tree) if measurable(each)]
        if len(long) != len(short):
            return (APART,)
        return tuple(APART if self._apart(*pair) else SAME for pair in zip(short, long, strict=True))

    def _apart(self, short: Tensor, long: Tensor) -> bool:
        """Whether they differ however they are laid side by side; also where no way is known."""
        if short.data_ptr() == long.data_ptr() or not short.numel():  # a parameter
            return False
        if (short.dim(), short.dtype) != (long.dim(), long.dtype):
            return True
        ways = [ways_of(p, q, self._size, self._kept) for p, q in zip(short.shape, long.shape, strict=True)]
        return all(self._differ(short, _taken(long, way)) for way in islice(product(*ways), WAYS))

    def _differ(self, one: Tensor, other: Tensor) -> bool:
        apart = float(gap(one, other).max())
        if not one.is_floating_point():
            return apart > 0
        scale = float(comparable(one).abs().nan_to_num(0.0, 0.0).max())
        return not apart <= self._tolerance * torch.finfo(one.dtype).eps * scale


def _taken(long: Tensor, way: Sequence[Sequence[int] | None]) -> Tensor:
    for dim, indices in enumerate(way):
        if indices is not None:
            long = long.index_select(dim, torch.tensor(list(indices), device=long.device))
    return long
