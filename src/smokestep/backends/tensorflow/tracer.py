"""Tracer: hears every eager operation and keeps the dataflow of the recording: values, operations, lines.

It reads and never changes: results go on as they are. What fails in recording makes the graph opaque there, and
nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tensorflow.python import pywrap_tfe
from tensorflow.python.framework import op_callbacks
from tensorflow.python.framework import ops as tf_ops

from smokestep.backends.tensorflow import composites, frames
from smokestep.backends.tensorflow.frames import Raw
from smokestep.backends.tensorflow.trace import RawOp, Seen, array_of, dtype_of, peak_of, shape_of
from smokestep.backends.tensorflow.vocabulary import (
    FACTORIES,
    QUIET,
    READS,
    SETTINGS,
    SHAPES,
    WRITES,
    arguments,
    name_of,
    units,
)

FLOATS = ("float", "bfloat", "complex")
VIEWS = frozenset("reshape squeeze unsqueeze to".split())
LAYERED = frozenset("linear matmul conv2d conv3d conv1d conv_transpose2d conv_transpose3d einsum".split())
INTERNAL = 8  # entries: of axes, permutations and seeds
OPENS = frozenset("relu relu6 sigmoid tanh hardtanh hardsigmoid".split())
FLAT = frozenset({"Round", "Rint", "Floor", "Ceil"})  # their registered gradient is None


class Tracer:
    """The trace of one recording. `watcher` is told of what is more than an operation (variables, losses)."""

    def __init__(self, watcher: Any) -> None:
        self.watcher = watcher
        self.paused = 0
        self.values: dict[int, Seen] = {}
        self.known: dict[int, Seen] = {}  # by the number of the tensor, which is never used again
        self.alive: list[tuple[Seen, Any]] = []  # tensors of the running step for which gradient is asked
        self.ops: list[RawOp] = []
        self.layers: list[Any] = []  # the layers that run, outermost first
        self.opaque: list[tuple[int, str, Raw | None]] = []
        self.failure = ""
        self.keep: dict[int, Any] | None = None  # the entries of every value, where they are wanted
        self.escaped = 0  # the number of the last tensor whose entries were given to Python in this step
        self._serial = 0
        self._group: tuple[RawOp, FrameType] | None = None
        self._shapes: set[int] = set()  # tensors that tell of shapes only
        self._differentiable: dict[str, bool] = {}

    def __enter__(self) -> Tracer:
        composites.load()
        op_callbacks.add_op_callback(self._heard)
        return self

    def __exit__(self, *raised: object) -> None:
        op_callbacks.remove_op_callback(self._heard)
        self.close_group()

    def next(self) -> int:
        """A new serial number, for values and operations alike, so that they order the whole trace."""
        self._serial += 1
        return self._serial

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """What runs in the block is no part of the training."""
        self.paused += 1
        try:
            yield
        finally:
            self.paused -= 1

    def forget(self) -> None:
        """A step is over: let go of its tensors. Numbers of tensors are never used twice, so what is known stays."""
        self.close_group()
        self.alive.clear()
        self.escaped = 0

    def _heard(
        self, op_type: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if self.paused or graph is not None:
            return
        kind = op_type.decode() if isinstance(op_type, bytes) else op_type
        if kind in QUIET:
            return
        self.paused += 1
        try:
            self._record(kind, inputs, attrs, outputs)
        except Exception as error:
            self.opaque.append((self.next(), f"{kind} (not recorded: {type(error).__name__}: {error})", None))
        finally:
            self.watcher.heard()
            self.paused -= 1

    def _record(self, kind: str, inputs: Any, attrs: Any, outputs: Any) -> None:
        if kind in READS:
            self._read(inputs[0], outputs[0])
            return
        if kind in SHAPES or (inputs and self._of_shapes(kind, inputs)):
            if kind not in WRITES and kind not in FACTORIES:
                self._shapes.update(each._id for each in outputs)
                return
        found = frames.trail(2)
        if found.muted:
            return
        if kind in WRITES:
            self._write(kind, inputs, found)
            return
        attributes = dict(zip(attrs[::2], attrs[1::2], strict=False)) if attrs else {}
        recording = bool(pywrap_tfe.TFE_Py_TapeSetPossibleGradientTypes(list(inputs))) if inputs else False
        op = self._op_for(kind, found)
        constants: list[Any] = []
        for index, each in enumerate(inputs):
            constants.append(self._constant(each, _sets(kind, index, len(inputs))))
            inner = bool(found.within) and self._internal(each)
            if constants[-1] is None and each._id not in self._shapes and not inner:
                value = self.value_of(each)
                if value.outside and op.grad:
                    value = self._enters_tape(value, each, found)
                if value.group is not None and value.group is not op and value.id not in value.group.makes:
                    value.group.makes.append(value.id)
                if not (self._group and self._group[0] is op and value.group is op):
                    op.reads.append(value.id)
        grouped = self._group is not None and self._group[0] is op
        if not grouped:
            op.args.update(arguments(kind, attributes, constants))
            if (dimension := units(kind, attributes)) is not None:
                op.args["units"] = dimension
        reads = [self.known[each._id] for each in inputs if each._id in self.known]
        outside = not op.grad
        history = (recording or outside) and self._passes(kind) and any(each.rg for each in reads)
        since = frozenset[int]().union(*(each.since for each in reads))
        for index, out in enumerate(outputs):
            seen = self._made(op, out, kind, op.name if index == 0 else "")
            seen.rg = history and seen.dtype.startswith(FLOATS)
            seen.since = since
            if grouped:
                seen.group = op
            else:
                op.makes.append(seen.id)
            seen.outside = outside and seen.rg
            if seen.rg and not outside:
                self.alive.append((seen, out))
        if not grouped:
            if kind in FACTORIES:
                op.reads.clear()
            self._layered(op, reads)
            self.ops.append(op)
            self.watcher.did(op, outputs)

    def _enters_tape(self, value: Seen, tensor: Any, found: frames.Trail) -> Seen:
        """What was computed before the tape began to record is read: its history ends here."""
        maker = next((op for op in reversed(self.ops) if op.id == value.op), None)
        op = self.open("outside_tape", found)
        if maker is not None:
            op.line, op.stack, op.module = maker.line, maker.stack, maker.module
            calls = [call for call in self.watcher.running.calls if value.id in call.outputs]
            if calls:
                op.line, op.stack, op.module = calls[-1].event.line, (calls[-1].event.line,), None
        op.reads = [value.id]
        made = self._new("made", op.id, tensor)
        made.peak = value.peak
        self.known[tensor._id] = made
        op.makes = [made.id]
        self.ops.append(op)
        return made

    def _op_for(self, kind: str, found: frames.Trail) -> RawOp:
        """The operation that this is, or the running one of the known function that it is part of."""
        if found.within:
            frame = found.within[0]
            if self._group is not None and self._group[1] is frame:
                return self._group[0]
            self.close_group()
            op = self.open(composites.name_of(frame.f_code), found)
            self._group = (op, frame)
            self.ops.append(op)
            self.watcher.entered(op, found.within)
            return op
        self.close_group()
        return self.open(name_of(kind), found)

    def close_group(self) -> None:
        """The running known function is over: what it made last is its result."""
        if self._group is None:
            return
        op, _ = self._group
        self._group = None
        made = list(self._latest(op))
        if made and made[-1].id not in op.makes:
            op.makes.append(made[-1].id)
        op.reads = list(dict.fromkeys(op.reads))
        self._layered(op, [self.values[each] for each in op.reads])
        self.watcher.left(op)

    def _latest(self, op: RawOp) -> Iterable[Seen]:
        found: list[Seen] = []
        for key in reversed(self.values):
            seen = self.values[key]
            if seen.id < op.id:
                break
            if seen.group is op:
                found.append(seen)
        return reversed(found)

    def open(self, name: str, found: frames.Trail) -> RawOp:
        """A new operation on the line that runs."""
        recording = not pywrap_tfe.TFE_Py_TapeSetIsEmpty()
        line, stack = self.watcher.lines(found, self.module)
        return RawOp(self.next(), name, line, stack, self.module, recording)

    @property
    def module(self) -> Any:
        """The innermost layer that runs."""
        return self.layers[-1] if self.layers else None

    def _passes(self, kind: str) -> bool:
        """Whether an operation has a derivative."""
        known = self._differentiable.get(kind)
        if known is None:
            try:
                known = kind not in FLAT and tf_ops.gradient_registry.lookup(kind) is not None
            except LookupError:
                known = False
            self._differentiable[kind] = known
        return known

    def _layered(self, op: RawOp, reads: list[Seen]) -> None:
        """A product with a weight is a layer; the bias added to it right away belongs to it."""
        if op.name in ("matmul", "einsum") and sum(each.kind == "parameter" for each in reads) == 1:
            op.name = "linear"
            if len(op.reads) == 2 and reads[0].kind == "parameter":
                op.reads.reverse()
        if op.name != "add" or op.module is None or len(op.reads) != 2:
            return
        bias, at = self.values[op.reads[1]], len(self.ops)
        while bias.kind != "parameter":  # the bias of a convolution is given other dimensions first
            at -= 1
            view = self.ops[at] if at > 0 else None
            if view is None or view.name not in VIEWS or view.makes != [bias.id] or len(view.reads) != 1:
                return
            bias = self.values[view.reads[0]]
        last = self.ops[at - 1] if at else None
        if last is None or last.module is not op.module or last.name not in LAYERED or last.makes != [op.reads[0]]:
            return
        if not any(self.values[each].kind == "parameter" for each in last.reads):
            return
        del self.ops[at - 1 :]
        op.name, op.args = last.name, last.args
        op.reads = [*last.reads, bias.id]

    def value_of(self, tensor: Any) -> Seen:
        """The value that a tensor is; one not seen before is a source."""
        seen = self.known.get(tensor._id)
        if seen is None:
            place = self.watcher.given(tensor)
            if place is None and (handle := self.watcher.read_unseen(tensor)) is not None:
                self._read(handle, tensor)
                return self.known[tensor._id]
            seen = self._new("input", None, tensor)
            seen.place = place
            if pywrap_tfe.TFE_Py_TapeSetPossibleGradientTypes([tensor]):
                seen.kind, seen.rg = "leaf", True
            seen.peak = peak_of(tensor) if seen.dtype.startswith(FLOATS) else None
            self.known[tensor._id] = seen
            if seen.rg:
                self.alive.append((seen, tensor))
            elif place is None and seen.dtype.startswith(FLOATS) and tensor._id > self.escaped > 0:
                self._comes_back(seen, tensor)
        elif not seen.rg and seen.kind == "input" and pywrap_tfe.TFE_Py_TapeSetPossibleGradientTypes([tensor]):
            seen.kind, seen.rg = "leaf", True  # watched by hand
            self.alive.append((seen, tensor))
        return seen

    def _comes_back(self, seen: Seen, tensor: Any) -> None:
        """A tensor made by Python code after entries were given to it: whether it is made of them is not known."""
        found = frames.trail(3)
        if found.muted or not found.stack:
            return
        op = self.open("from_numpy", found)
        op.makes = [seen.id]
        seen.kind, seen.op = "made", op.id
        self.ops.append(op)

    def _new(self, kind: str, op: int | None, tensor: Any) -> Seen:
        seen = Seen(self.next(), kind, op, shape_of(tensor), dtype_of(tensor))
        self.values[seen.id] = seen
        if self.keep is not None and (array := array_of(tensor)) is not None:
            self.keep[seen.id] = array.copy()
        return seen

    def _made(self, op: RawOp, tensor: Any, kind: str, name: str) -> Seen:
        seen = self._new("made", op.id, tensor)
        self.known[tensor._id] = seen
        if seen.dtype.startswith(FLOATS):
            seen.peak = peak_of(tensor)
            if name in OPENS and len(seen.shape) > 1:
                self.watcher.activated(op, seen, tensor)
        return seen

    def _read(self, handle: Any, result: Any) -> None:
        """A variable is read: the result is the variable's own value."""
        place = self.watcher.place(handle)
        seen = place.version
        if seen is None:
            seen = place.version = self._new(place.kind, None, result)
            seen.place = place
            seen.peak = peak_of(result) if seen.dtype.startswith(FLOATS) else None
        seen.rg = seen.dtype.startswith(FLOATS) and place.kind == "parameter" and self.watcher.trains(place)
        self.known[result._id] = seen
        self.watcher.read(place)

    def _write(self, kind: str, inputs: Any, found: frames.Trail) -> None:
        if not self.watcher.knows(inputs[0]):
            return  # it is just being made
        place = self.watcher.place(inputs[0])
        given = self.known.get(inputs[1]._id) if len(inputs) > 1 and hasattr(inputs[1], "_id") else None
        since = given.since if given is not None else frozenset()
        if place.version is not None and kind != "AssignVariableOp":
            since |= place.version.since
        place.version = None
        place.since = since
        self.watcher.wrote(place, found)

    def _of_shapes(self, kind: str, inputs: Any) -> bool:
        """Whether an operation works on numbers that Python code gave and on shapes alone, and on no data."""
        return all(
            each._id in self._shapes
            or (each._id not in self.known and self._constant(each, _sets(kind, index, len(inputs))) is not None)
            for index, each in enumerate(inputs)
        )

    def _internal(self, tensor: Any) -> bool:
        """Whether a tensor is a few whole numbers that a function of the framework made for itself."""
        small = tensor.shape.rank in (0, 1) and tensor.dtype.is_integer and tensor.shape.num_elements() <= INTERNAL
        return small and tensor._id not in self.known and self.watcher.given(tensor) is None

    def _constant(self, tensor: Any, setting: bool) -> Any:
        """The number that a tensor is, where Python code gave it; of a setting also a list of them."""
        if tensor._id in self.known or tensor.shape.rank not in ((0, 1) if setting else (0,)):
            return None
        if self.watcher.given(tensor) is not None:
            return None
        try:
            if tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool:
                return tensor._numpy().tolist()
        except (AttributeError, TypeError, ValueError, NotImplementedError):
            return None
        return None

    def scalar(self, seen: Seen) -> float | None:
        """The number that a value is, if its tensor is at hand and it is one."""
        tensor = next((tensor for known, tensor in reversed(self.alive) if known is seen), None)
        return None if tensor is None else float(tensor._numpy())

    def arrived(self, seen: Seen, gradient: Any, mean: float | None = None) -> None:
        """Gradient arrived at a value; of several backward passes, the largest is kept."""
        if gradient is None:
            return
        peak = peak_of(gradient)
        if peak is not None and (seen.gradient is None or math.isnan(peak) or peak > seen.gradient):
            seen.gradient, seen.mean = peak, mean

    def escape(self, name: str, tensor: Any, result: Any) -> None:
        """The entries of a tensor are given to Python: as a number, or as an array."""
        seen = self.known.get(tensor._id)
        if seen is None or seen.kind == "input":
            return
        found = frames.trail(2)
        if found.muted or not found.stack:
            return
        if any("keras" in raw[0] and frames.kind_of_file(raw[0]) == frames.SKIP for raw in found.stack):
            return
        op = self.open(name, found)
        op.reads, op.escapes = [seen.id], True
        self.escaped = max(self.escaped, seen.id and tensor._id)
        made = Seen(self.next(), "made", op.id, (), "python")
        self.values[made.id] = made
        op.makes.append(made.id)
        self.ops.append(op)
        self.watcher.gave(made, result, array_of(tensor))


def _sets(kind: str, index: int, count: int) -> bool:
    settings = SETTINGS.get(kind, ())
    return index in settings or index - count in settings
