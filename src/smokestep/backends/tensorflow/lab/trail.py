"""Trail: the operations of one call, and of two runs of it side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smokestep.backends.tensorflow.frames import line_of
from smokestep.backends.tensorflow.lab.compare import spread
from smokestep.backends.tensorflow.recorder import Recorder
from smokestep.backends.tensorflow.trace import RawOp
from smokestep.evidence.trials import Spread, Touch


@dataclass(slots=True)
class Kept:
    """One operation: what it read and made."""

    op: RawOp
    reads: list[Any]
    makes: list[Any]
    module: str
    learned: bool

    def touch(self, reads: tuple[Spread, ...] = (), makes: tuple[Spread, ...] = ()) -> Touch:
        """The operation as evidence."""
        op = self.op
        lines = tuple(shown for raw in op.stack if (shown := line_of(raw)) is not None)
        line = line_of(op.line)
        plain = tuple((key, each) for key, each in op.args.items() if isinstance(each, (bool, int, float, str, tuple)))
        return Touch(op.name, reads, makes, line, lines[0] if lines else line, self.module, plain, self.learned, lines)


class Followed(Recorder):
    """A recorder of one call that keeps the entries of everything. Only for few samples."""

    def __init__(self, module_name: Any, built: Any, applied: Any) -> None:
        super().__init__(live=False)
        self._module_name = module_name
        self.built, self.applied = built, applied
        self.arrays_of: dict[int, Any] = {}
        self.tracer.keep = self.arrays_of

    def ops(self) -> list[Kept]:
        """Every operation of the call, in order."""
        values = self.tracer.values
        found = []
        for op in self.tracer.ops:
            reads = [self.arrays_of[each] for each in op.reads if each in self.arrays_of]
            makes = [self.arrays_of[each] for each in op.makes if each in self.arrays_of]
            learned = any(values[each].kind == "parameter" for each in op.reads)
            found.append(Kept(op, reads, makes, self._module_name(op.module), learned))
        return found


def touches(one: Sequence[Kept], other: Sequence[Kept]) -> tuple[Touch, ...]:
    """The operations whose inputs or results differ, as far as both runs made the same ones."""
    found = []
    for first, second in zip(one, other, strict=False):
        alike = [len(first.reads), len(first.makes)] == [len(second.reads), len(second.makes)]
        if first.op.name != second.op.name or not alike:
            break
        before, after = _spreads(first.reads, second.reads), _spreads(first.makes, second.makes)
        if any(each.touched for each in (*before, *after)):
            found.append(first.touch(before, after))
    return tuple(found)


def stray(run: Sequence[Kept], size: int) -> Touch | None:
    """The first operation that reads rows alike and makes rows unlike, along a dimension of this size."""
    for op in run:
        alike = [dim for each in op.reads for dim in range(each.ndim) if each.shape[dim] == size and _alike(each, dim)]
        if alike and any(
            each.ndim > dim and each.shape[dim] == size and not _alike(each, dim) for dim in alike for each in op.makes
        ):
            return op.touch(_spreads(op.reads, op.reads), _spreads(op.makes, op.makes))
    return None


def _alike(array: Any, dim: int) -> bool:
    first = np.take(array, [0], axis=dim)
    if array.dtype.kind != "f":
        return bool((array == first).all())
    return bool(np.allclose(array, first, rtol=1e-3, atol=1e-6, equal_nan=True))


def _spreads(ones: list[Any], others: list[Any]) -> tuple[Spread, ...]:
    return tuple(
        spread(one, other) if one.shape == other.shape else Spread(tuple(one.shape), (), False)
        for one, other in zip(ones, others, strict=True)
    )
