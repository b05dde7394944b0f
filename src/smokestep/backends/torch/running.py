"""Running: which modules run, which of them are root models, and what went into and came out of those."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from smokestep.backends.torch import frames, losses
from smokestep.backends.torch.calls import Called, arguments, extremes, flat, spread, varies
from smokestep.backends.torch.keras import is_layer, training_of
from smokestep.backends.torch.lab.answers import ANSWERS, Answer, answer, returned
from smokestep.backends.torch.lab.capture import CALLS, Given
from smokestep.backends.torch.naming import aside
from smokestep.backends.torch.quiet import quiet
from smokestep.backends.torch.trace import RawOp
from smokestep.backends.torch.vocabulary import tensors_in

if TYPE_CHECKING:
    from smokestep.backends.torch.recorder import Recorder

Tensor = torch.Tensor


class Running:
    """Hears every call of a module; a root is one that no other module called."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.calls: list[Called] = []
        self.roots: dict[int, nn.Module] = {}
        self.ran: list[set[int]] = [set()]  # modules that ran, a set a step
        self.recent: set[int] = set()  # those that ran since the last update
        self._buffer_ids: dict[int, Tensor] = {}
        self._calling: list[Called | None] = []
        self._threads = {threading.get_ident()}
        self.answers: list[Answer] = []
        self._asked: Counter[Any] = Counter()
        self._step = 0
        self.of_keras = False  # a model of Keras ran

    def forget(self) -> None:
        """Forget the calls made while the training was built."""
        self.calls.clear()
        self.answers.clear()
        self.roots.clear()
        self.ran = [set()]

    def abandon(self) -> None:
        """The user's code raised: whatever was running is not."""
        self._calling.clear()

    def entering(self, module: nn.Module, args: Any) -> None:
        """Any module is about to run (forward pre-hook)."""
        tracer = self.recorder.tracer
        if self.recorder.deaf:
            self._calling.append(None)
            return
        if threading.get_ident() not in self._threads:  # torch keeps modes per thread: follow the training into its own
            self._threads.add(threading.get_ident())
            tracer.__enter__()
        root, grad = not tracer.modules, torch.is_grad_enabled()
        with quiet():
            if root:
                self.recorder.turn()
                self._root(module, args, grad)
            else:
                self._calling.append(None)
            self.ran[-1].add(id(module))
            self.recent.add(id(module))
            self.recorder.modes.ran(
                module,
                step=self.recorder.step,
                grad=grad,
                inputs=args,
                line=lambda: frames.line_of(frames.position()[1]),
                op_index=tracer._serial + 1,
                root=root,
                inside=None if root else tracer.module,
            )
        tracer.modules.append(module)

    def _root(self, module: nn.Module, args: Any, grad: bool) -> None:
        self.recorder.unfinished()
        self.follow(module)
        if not self.roots and self.recorder.live:
            self.recorder.tracer.begin()
        if id(module) not in self.roots:
            self.roots[id(module)] = module
            self.of_keras = self.of_keras or is_layer(module)
            self.recorder.book.add(aside(module))
            self.recorder.words.read(frames.user_frame())
        event = self.recorder.note("forward", module, frames.position()[1])
        event.detail = {"training": training_of(module), "grad": grad}
        self.recorder.generators.called(event.index, grad)
        inputs = [(name, self.recorder.tracer.value_of(tensor)) for name, tensor in arguments(module, args)]
        called = Called(event, module, inputs, any(varies(each) for each in tensors_in(args)), grad)
        self.calls.append(called)
        self._calling.append(called)

    def left(self, module: nn.Module, args: Any, kwargs: Any, output: Any = None) -> None:
        """Any module has run or raised (forward hook, always called; torch leaves `kwargs` out after an exception)."""
        called = self._calling.pop() if self._calling else None
        tracer = self.recorder.tracer
        if self.recorder.deaf or not tracer.modules:
            return
        if tracer.modules[-1] is module:
            tracer.modules.pop()
        outputs, grad = list(tensors_in(output)), torch.is_grad_enabled()
        if isinstance(module, torch.jit.ScriptModule) and not isinstance(tracer.module, torch.jit.ScriptModule):
            self._scripted(module, args, kwargs, outputs, grad)
        if called is None:
            return
        tracer.modules.clear()
        with quiet():
            if kwargs:
                called.inputs += [(name, tracer.value_of(tensor)) for name, tensor in flat(kwargs, "")]
                called.varied = called.varied or any(varies(each) for each in tensors_in(kwargs))
            self.follow(module)  # lazily built parameters exist only now
            if torch._C._are_functorch_transforms_active():
                return
            for tensor in outputs[:16]:
                called.outputs.append(tracer.value_of(tensor))
                tracer.outputs.add(called.outputs[-1])
                called.spread.append(spread(tensor))
                called.ranges.append(extremes(tensor))
            if output is not None and self._wanted(called):
                called.given = Given(module, args, kwargs, output, called.grad)
                called.returned = [returned(tensor) for tensor in outputs[:16]]

    def compared(self, seen: losses.Seen, name: str, args: Any, kwargs: Any, line: frames.Raw | None) -> None:
        """A recognised loss is about to be computed: keep what it compares, as long as its step is the last."""
        self._let_go()
        inside = next((each for each in self._calling if each is not None), None)
        key = (self.recorder.step if inside is None else id(inside), name, line)
        nth, self._asked[key] = self._asked[key], self._asked[key] + 1
        pair, since = losses.operands(name, args, kwargs), (self.recorder.ends or [0])[-1]
        if pair is not None and sum(each.index > since for each in self.answers) < ANSWERS:
            kept = answer(seen, self.recorder.tracer.next(), line, pair, inside, nth)
            self.answers += [kept] if kept is not None else []

    def _let_go(self) -> None:
        """Forget what steps before the last gave; the running one may not come to its end."""
        if self.recorder.step > self._step:
            self._step = self.recorder.step
            before = (self.recorder.ends[-2:-1] or [0])[0]
            for each in self.calls:
                if each.event.index <= before:
                    each.given, each.returned = None, []
            self.answers = [each for each in self.answers if each.index > before]
            self._asked.clear()

    def _wanted(self, called: Called) -> bool:
        """Whether a call may be made again later: one of the first of its model in this step. Earlier steps let go."""
        self._let_go()
        since = (self.recorder.ends or [0])[-1]
        kept = [each for each in self.calls if each.given is not None and each.event.index > since]
        return sum(each.module is called.module for each in kept) < CALLS

    def _scripted(self, module: nn.Module, args: Any, kwargs: Any, outputs: list[Tensor], grad: bool) -> None:
        """A scripted module ran: its inside was not seen, so one opaque operation stands for it."""
        line, stack, _ = frames.trail()
        op = RawOp(self.recorder.tracer.next(), "scripted module", line, stack, module, grad)
        op.outer = "opaque"
        with quiet():
            reads = [*tensors_in(args), *tensors_in(kwargs), *module.parameters(), *module.buffers()]
            op.reads = [self.recorder.tracer.value_of(tensor) for tensor in reads]
            op.makes = [self.recorder.tracer._new(tensor, "made", op.id).id for tensor in outputs]
        self.recorder.tracer.ops.append(op)
        self.recorder.tracer.opaque.append((op.id, "scripted module", line))

    def follow(self, module: nn.Module) -> None:
        """Follow the parameters of a model, and know its buffers."""
        with quiet():
            for tensor in self.recorder.book.add(module.parameters()):
                self.recorder.tracer.known.pop(id(tensor), None)  # how it was initialised is no part of a step
            for buffer in module.buffers():
                if self._buffer_ids.get(id(buffer)) is not buffer and buffer.grad_fn is None:
                    self._buffer_ids[id(buffer)] = buffer
                    self.recorder.tracer.known.pop(id(buffer), None)
            if self.recorder.buffers:
                self.recorder.book.add(module.buffers(), buffer=True)

    def kind_of(self, tensor: Tensor) -> str:
        """For the tracer: what a tensor that no operation made is."""
        if (item := self.recorder.book.get(tensor)) is not None:
            return "buffer" if item.buffer else "parameter"
        if self._buffer_ids.get(id(tensor)) is tensor:
            return "buffer"
        return "leaf" if isinstance(tensor, nn.Parameter) else "input"
