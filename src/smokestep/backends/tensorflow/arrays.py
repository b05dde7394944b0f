"""Arrays: follows entries that leave the framework as numbers or NumPy arrays, and come back as tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.trace import RawOp, Seen


class Arrays:
    """What was given to Python in the running step, by identity and by number."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer
        self._arrays: dict[int, tuple[Any, int]] = {}
        self._numbers: dict[float, int] = {}
        self._any = False
        self.named: list[tuple[Any, str]] = []  # arrays of the batch, with their names

    def gave(self, made: Seen, result: Any, array: Any) -> None:
        """A tensor became this."""
        self._any = True
        if isinstance(result, np.ndarray) and result.ndim:
            self._arrays[id(result)] = (result, made.id)
        elif isinstance(result, (bool, np.bool_)):
            return
        elif isinstance(result, (int, float, np.generic, np.ndarray)):
            number = float(result)
            if not math.isnan(number) and number not in (0, 1, -1):
                self._numbers[number] = made.id

    def came(self, value: Any, tensor: Any) -> None:
        """A tensor was made of a value of Python's; of one that left a tensor, the history ends here."""
        tracer = self.tracer
        if isinstance(value, np.ndarray):
            name = next((name for array, name in self.named if array is value), None)
            if name is not None:
                tracer.watcher.batch[tensor._id] = name
                return
        if tensor._id in tracer.known or not self._any:
            return
        origin = self._origin(value)
        if origin is None:
            return
        found = frames.trail(2)
        if found.muted or not found.stack:
            return
        if not tensor.shape.rank:
            tracer.known[tensor._id] = tracer.values[origin]
            return
        op = tracer.open("from_numpy" if isinstance(value, np.ndarray) else "tensor", found)
        op.reads = [origin]
        seen = tracer._made(op, tensor, "", "")
        op.makes.append(seen.id)
        self._keep(op)

    def _keep(self, op: RawOp) -> None:
        self.tracer.ops.append(op)

    def _origin(self, value: Any) -> int | None:
        if isinstance(value, np.ndarray) and value.ndim:
            known = self._arrays.get(id(value))
            if known is not None:
                return known[1]
            base = value.base
            while base is not None:
                if id(base) in self._arrays:
                    return self._arrays[id(base)][1]
                base = getattr(base, "base", None)
            return None
        if isinstance(value, (list, tuple)) and value and len(value) < 4096:
            return next((found for each in value if (found := self._origin(each)) is not None), None)
        if isinstance(value, (int, float, np.generic, np.ndarray)) and not isinstance(value, (bool, np.bool_)):
            try:
                return self._numbers.get(float(value))
            except (TypeError, ValueError):
                return None
        return None

    def forget(self) -> None:
        """A step is over: identities may be used again."""
        self._arrays.clear()
        self._numbers.clear()
        self._any = False
