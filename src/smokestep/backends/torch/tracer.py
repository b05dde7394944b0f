"""Tracer: the dataflow of everything that runs, at the level of public torch calls.

It sees; it never keeps a tensor alive (values are serial numbers, tensors are held weakly) and never changes a result.
Everything is one long trace; where a step begins and ends is decided afterwards.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from smokestep.backends.torch import frames, losses
from smokestep.backends.torch.activations import Activations
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import extent, mean, measurable
from smokestep.backends.torch.quiet import quiet, said, unreal
from smokestep.backends.torch.trace import RawOp, Seen, storage, version
from smokestep.backends.torch.vocabulary import ESCAPES, FACTORIES, OPENS, bare_name, tensors_in

Tensor = torch.Tensor


_alive: weakref.WeakSet[Tracer] = weakref.WeakSet()


def _silence() -> None:
    """In a forked child (a worker of a DataLoader) nothing is recorded: what it does is not the training's dataflow."""
    for tracer in _alive:
        tracer.off = True


os.register_at_fork(after_in_child=_silence)


class Tracer(TorchFunctionMode):
    """Records ops and values while it is on the mode stack and `paused` is 0.

    `parameters` maps id to the parameter or buffer object known so far; `watcher` is told of in-place writes to
    parameters, gradients set by hand, gradient clipping and grad-mode switches.
    """

    def __init__(self, watcher: Any) -> None:
        super().__init__()
        self.watcher = watcher
        self.paused = 0
        self.off = False  # for good: in a forked child, and once the recorder itself has failed
        self.failure = ""
        _alive.add(self)
        self.names: dict[Any, str] = {}
        self.values: dict[int, Seen] = {}
        self.known: dict[int, Seen] = {}
        self.ops: list[RawOp] = []
        self.sources: dict[int, Callable[[], Tensor | None]] = {}  # leaf values, named at the end if they still live
        self.writers: dict[int, int] = {}  # storage -> last value written into it in place
        self.scalars: dict[Any, int] = {}
        self.arrays: dict[int, tuple[int, Callable[[], Any]]] = {}  # by identity or address, while it lives
        self.modules: list[Any] = []
        self.losses: list[Any] = []
        self.opaque: list[tuple[int, str, Raw | None]] = []
        self.activations = Activations()
        self.outputs: set[int] = set()
        self.group: RawOp | None = None
        self.group_frame = 0
        self._serial = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.paused or self.off or unreal():
            return func(*args, **kwargs)
        try:
            name = self.names[func]
        except KeyError:
            name = self.names[func] = bare_name(func)
        except TypeError:
            name = bare_name(func)
        if not name or self._heard(name, args):
            return func(*args, **kwargs)
        return self._record(name, func, args, kwargs)

    def _heard(self, name: str, args: Any) -> bool:
        """Whether a call is an event of the loop and no dataflow; the watcher is then told."""
        try:
            if name == "grad=":
                self.watcher.regraded(args[0], args[1] if len(args) > 1 else None)
            elif name in ("zero_", "_foreach_zero_") and self.watcher.zeroed(args):
                return True
            elif frames.clipping():
                self.watcher.clipped(args[0] if name == ".grad" else None)
                return True
        except Exception as error:
            self.broke(error)
        return name in (".grad", "grad=", "backward", "_set_grad_enabled")

    def _record(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """Run the call; what fails in recording it makes the graph opaque here, and nothing else."""
        started: Any = None
        grad = torch.is_grad_enabled()
        with quiet():
            try:
                started = self._before(name, args, kwargs, grad)
            except Exception as error:
                self._unseen(name, error)
        result = func(*args, **kwargs)
        if started is not None and not self.off:
            with quiet():
                try:
                    self._after(*started, args, kwargs, result)
                except Exception as error:
                    self._unseen(name, error)
        return result

    def _before(self, name: str, args: Any, kwargs: Any, grad: bool) -> tuple[RawOp, str, list[Tensor], Any]:
        line, stack, applying = frames.trail()
        op = self._open(name, line, stack, grad) if applying is None else self._inside(applying, line, stack)
        inputs = list(tensors_in(args))
        if kwargs:
            inputs.extend(tensors_in(kwargs))
        for tensor in inputs:
            value = self.value_of(tensor, line)
            self.values[value].readers += 1
            op.reads.append(value)
        self._scalars(op, args, kwargs)
        seen = None
        if name in losses.RECOGNISED and grad and not torch._C._are_functorch_transforms_active():
            if (seen := losses.observe(name, args, kwargs)) is not None:
                self.watcher.compared(seen, name, args, kwargs, line)
        elif "dropout" in name:
            self.watcher.dropped(name, args, kwargs, line, grad)
        elif name == "batch_norm":
            self.watcher.normalized(args, kwargs, line, grad)
        return op, name, inputs, seen

    def _after(
        self, op: RawOp, name: str, inputs: list[Tensor], seen: Any, args: Any, kwargs: Any, result: Any
    ) -> None:
        if name in ESCAPES:
            self._escape(op, result, inputs)
        else:
            self._made(op, name, args, kwargs, inputs, result)
        if seen is not None and op.makes and len(op.reads) > 0:
            seen.op = op.id
            seen.prediction_value = op.reads[0]
            seen.target_value = op.reads[1] if len(op.reads) > 1 else None
            seen.result_value = op.makes[-1]
            scalar = result.detach().clone() if measurable(result) and result.numel() == 1 else None
            self.losses.append((seen, scalar))
        if op.reads or op.makes:
            if not self.ops or self.ops[-1] is not op:
                self.ops.append(op)

    def _unseen(self, name: str, error: Exception) -> None:
        """Recording one call failed: it, and what depends on it, is not known."""
        self.opaque.append((self._serial, f"{name} (not recorded: {said(error)})", frames.trail()[0]))

    def broke(self, error: Exception) -> None:
        """Bookkeeping of the recorder's own failed: the user's code goes on, and nothing recorded is trusted."""
        self.failure = self.failure or said(error)
        self.off = True

    def _open(self, name: str, line: Raw | None, stack: tuple[Raw, ...], grad: bool) -> RawOp:
        self.group = None
        return RawOp(self.next(), name, line, stack, self.module, grad)

    def _inside(self, frame: FrameType, line: Raw | None, stack: tuple[Raw, ...]) -> RawOp:
        """The custom autograd Function that this call is part of, as one operation on the line that applies it."""
        if self.group is not None and self.group_frame == id(frame):
            return self.group
        back = frame.f_back
        while back is not None and frames.kind_of_file(back.f_code.co_filename) == frames.SKIP:
            back = back.f_back
        if back is not None:
            line = (back.f_code.co_filename, back.f_lineno)
            stack = stack[stack.index(line) :] if line in stack else stack
        name = getattr(frame.f_locals.get("cls"), "__name__", "Function")
        self.group = RawOp(self.next(), name, line, stack, self.module, True)
        self.group.outer, self.group_frame = name, id(frame)
        return self.group

    @property
    def module(self) -> Any:
        """The innermost module running."""
        return self.modules[-1] if self.modules else None

    def next(self) -> int:
        """A new serial number, for values and ops alike, so that they order the whole trace."""
        self._serial += 1
        return self._serial

    def value_of(self, tensor: Tensor, line: Raw | None = None) -> int:
        """The serial of the current version of a tensor; a tensor not seen before becomes a source."""
        seen = self.known.get(id(tensor))
        if seen is None or seen.ref() is not tensor:
            return self._source(tensor, line).id
        if version(tensor) != seen.version:
            if seen.kind in ("parameter", "buffer"):
                return self._source(tensor, line).id
            seen = self._rewritten(tensor, seen, line)
        if tensor.requires_grad and not seen.rg:
            if tensor.grad_fn is None:  # made a leaf by hand: the gradient history starts here
                seen = self._synthetic("requires_grad_", (seen.id,), tensor, line)
                self.sources[seen.id] = seen.ref
            else:  # the result of a custom Function gets its history after its inside has run
                seen.rg = True
                self._hook(seen, tensor)
                self.group = None
        return seen.id

    def _source(self, tensor: Tensor, line: Raw | None) -> Seen:
        kind = self.watcher.kind_of(tensor)
        if kind == "input" and tensor.grad_fn is not None:
            kind = "unknown"
            self.opaque.append((self._serial, tensor.grad_fn.name(), line))
        elif kind == "input" and tensor.requires_grad:
            kind = "leaf"
        elif kind == "input" and self.arrays and (array := self._array(tensor.data_ptr())) is not None:
            return self._synthetic("from_numpy", (array,), tensor, line)
        seen = self._new(tensor, kind, None)
        if kind in ("leaf", "parameter", "buffer"):
            self.sources[seen.id] = seen.ref
        elif kind == "input" and tensor.is_floating_point() and measurable(tensor) and tensor.numel():
            if not torch._C._are_functorch_transforms_active():
                seen.peak = extent(tensor)
        return seen

    def _new(self, tensor: Tensor, kind: str, op: int | None) -> Seen:
        seen = Seen(self.next(), tensor, kind, op)
        self.values[seen.id] = self.known[id(tensor)] = seen
        return seen

    def _synthetic(self, name: str, reads: Iterable[int], tensor: Tensor, line: Raw | None) -> Seen:
        """An op that the trace did not see happen but whose effect it finds."""
        op = RawOp(self.next(), name, line, frames.trail()[1], self.module, torch.is_grad_enabled())
        op.reads = list(reads)
        made = self._new(tensor, "made", op.id)
        op.makes = [made.id]
        self.ops.append(op)
        return made

    def _rewritten(self, tensor: Tensor, seen: Seen, line: Raw | None) -> Seen:
        """Another view of the same storage was written in place since this one was last used."""
        writer = self.writers.get(storage(tensor))
        reads = (seen.id,) if writer is None or writer == seen.id else (seen.id, writer)
        return self._synthetic("alias", reads, tensor, line)

    def _scalars(self, op: RawOp, args: Any, kwargs: Any) -> None:
        """Keep plain arguments, and link Python numbers and arrays that came out of a tensor."""
        for key, value in [*((str(i), each) for i, each in enumerate(args)), *kwargs.items()]:
            if value is None or isinstance(value, (bool, int, float, str)):
                op.args[key] = value
            elif isinstance(value, tuple) and all(isinstance(each, int) for each in value):
                op.args[key] = value
            elif isinstance(value, torch.dtype):
                op.args[key] = str(value).removeprefix("torch.")
            if self.scalars and not isinstance(value, Tensor):
                for each in (value, *value) if isinstance(value, (list, tuple)) else (value,):
                    found = self.scalars.get(each) if type(each) in (float, int) else self._array(id(each))
                    if found is not None and found not in op.reads:
                        op.reads.append(found)

    def _escape(self, op: RawOp, result: Any, inputs: list[Tensor]) -> None:
        op.escapes = True
        seen = Seen(self.next(), None, "made", op.id)
        self.values[seen.id] = seen
        op.makes.append(seen.id)
        if isinstance(result, (float, int)) and not isinstance(result, bool):
            if not (isinstance(result, float) and math.isnan(result)) and result not in (0, 1, -1):
                self.scalars[result] = seen.id
        elif not isinstance(result, bool):
            self.scalars.setdefault("array", seen.id)
            if hasattr(result, "__array_interface__") and inputs:
                kept = weakref.ref(result)
                self.arrays[id(result)] = self.arrays[inputs[0].data_ptr()] = (seen.id, kept)
            else:
                self.arrays[id(result)] = (seen.id, lambda: result)

    def _array(self, key: int) -> int | None:
        """The value that an array or list came from; identities and addresses are reused, so it must be alive."""
        found = self.arrays.get(key)
        return found[0] if found is not None and found[1]() is not None else None

    def _made(self, op: RawOp, name: str, args: Any, kwargs: Any, inputs: list[Tensor], result: Any) -> None:
        written: list[Tensor] = []
        if name in ("__setitem__", "set_", "data="):
            written = [args[0]]
        elif name.startswith("_foreach") and name.endswith("_"):
            written = list(tensors_in(args[0]))
        elif isinstance(kwargs.get("out"), Tensor):
            written = [kwargs["out"]]
        outputs = list(tensors_in(result)) if not isinstance(result, Tensor) else [result]
        for out in outputs:
            if any(out is tensor for tensor in inputs):
                if name.endswith("_") or kwargs.get("inplace") or version(out) != self.known[id(out)].version:
                    written.append(out)
                continue
            seen = self._new(out, "made", op.id)
            op.makes.append(seen.id)
            if seen.rg or (not op.grad and not op.outer):
                self._measure(seen, out, name, op, inputs[0] if inputs else None)
        for tensor in written:
            op.inplace = True
            if self.known[id(tensor)].kind in ("parameter", "buffer"):
                self.watcher.wrote(tensor, op.line)
                continue
            seen = self._new(tensor, "made", op.id)
            op.makes.append(seen.id)
            self.writers[storage(tensor)] = seen.id
            self.watcher.wrote_into(storage(tensor), op.line)
            if seen.rg:
                self._measure(seen, tensor, name, op)
        if name in FACTORIES and not op.makes:
            op.reads.clear()

    def _measure(self, seen: Seen, tensor: Tensor, name: str, op: RawOp, first: Tensor | None = None) -> None:
        if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.is_sparse or tensor.is_meta:
            return
        if torch._C._are_functorch_transforms_active():
            if not self.opaque or self.opaque[-1][1] != "torch.func transform":
                self.opaque.append((self._serial, "torch.func transform", op.line))
            return
        if not seen.rg:
            return
        try:
            plain = tensor.detach()
            source = self._viewed(first, tensor) if first is not None else None
            if source is not None:
                seen.peak = source.peak
                source.view = seen if source.shape and math.prod(source.shape) == plain.numel() else None
            else:
                seen.peak = extent(plain)
            self._hook(seen, tensor)
            if name in OPENS and plain.dim() > 1:
                self.activations.measure(plain, name, op)
        except RuntimeError:  # layouts without a norm (nested, quantized): the value stays unmeasured
            pass

    def _viewed(self, first: Tensor, made: Tensor) -> Seen | None:
        """What a result is a view of, if measured: it has no other entries. Half of attention is views."""
        base = made._base
        if base is None or not (base is first or base is first._base) or made.dtype != first.dtype:
            return None
        source = self.known.get(id(first))
        return source if source is not None and source.peak is not None and source.version == version(first) else None

    def _hook(self, seen: Seen, tensor: Tensor) -> None:
        owner = weakref.ref(self)  # the graph holds the hook where no garbage collector looks

        def arrived(gradient: Any) -> None:
            tracer = owner()
            if tracer is None or tracer.off:
                return
            try:
                with quiet():
                    view = seen.view if seen.readers == 1 and seen.id not in tracer.outputs else None
                    if view is not None and view.gradient:  # its only reader: the same entries come back
                        seen.gradient = view.gradient
                    elif measurable(gradient) and gradient.is_floating_point() and gradient.numel():
                        seen.gradient = [*(seen.gradient or ()), extent(gradient.detach())]
                        if seen.id in tracer.outputs:
                            seen.mean = [*(seen.mean or ()), mean(gradient)]
            except Exception as error:
                tracer._unseen("gradient", error)

        if not torch._C._are_functorch_transforms_active():
            _ = tensor.grad_fn  # torch 2.13 dies in register_hook on a view written in place unless this was read
            tensor.register_hook(arrived)

    def begin(self) -> None:
        """The first model is about to run: what built it is no part of a step, what made its input may be."""
        built = {key for key, seen in self.values.items() if seen.kind in ("parameter", "leaf")}
        self.ops = [op for op in self.ops[-200:] if built.isdisjoint(op.reads)]

    def release(self) -> None:
        """Let go of everything; hooks on tensors that live on do nothing from now on."""
        self.off = True
        for kept in (self.values, self.known, self.sources, self.arrays, self.scalars, self.writers, self.names):
            kept.clear()
        for each in (self.ops, self.modules, self.losses, self.activations.sites, self.opaque):
            each.clear()
        self.group = None

    def forget(self) -> None:
        """Drop what links to Python objects of earlier steps: identities may have been reused."""
        self.scalars.clear()
        self.arrays.clear()
        self.known = {key: seen for key, seen in self.known.items() if seen.ref() is not None}
