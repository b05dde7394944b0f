"""Recorder: hears every event of the loop, keeps them in the trace's order, and decides where a step ends.

It is the only mutable thing in a recording. What it keeps becomes evidence in `assembly`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from smokestep.backends.torch import frames
from smokestep.backends.torch.by_hand import ByHand
from smokestep.backends.torch.calls import Noted, number
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.generators import Generators
from smokestep.backends.torch.iterators import Spent
from smokestep.backends.torch.loaders import Shelf
from smokestep.backends.torch.loads import LoadLog
from smokestep.backends.torch.meters import Book, Tracked
from smokestep.backends.torch.modes import ModeLog
from smokestep.backends.torch.naming import Words
from smokestep.backends.torch.optimizers import constructing, pace, remembers
from smokestep.backends.torch.quiet import quiet, unreal
from smokestep.backends.torch.running import Running
from smokestep.backends.torch.tracer import Tracer
from smokestep.backends.torch.vocabulary import tensors_in

Tensor = torch.Tensor


class StopWatching(BaseException):
    """Raised inside the user's loop when enough has been seen; no Exception, so that `except Exception` lets it by."""


Site = tuple[Any, tuple[Raw, ...] | None]  # an optimizer, and the lines of the user's own that led to its step


class Recorder:
    """What one recording has heard so far. `wanted` is called when an update is over, and may raise StopWatching."""

    def __init__(self, *, live: bool, words: Words | None = None, buffers: bool = False, wanted: Any = None) -> None:
        self.live, self.buffers, self.wanted = live, buffers, wanted
        self.words = words or Words()
        self.tracer = Tracer(ByHand(self))
        self.book = Book()
        self.modes = ModeLog()
        self.loads = LoadLog()
        self.running = Running(self)
        self.generators = Generators(self)
        self.loaders = Shelf(self.tracer.next)
        self.spent = Spent()
        self.events: list[Noted] = []
        self.given: list[nn.Module] = []
        self.optimizers: dict[int, Optimizer] = {}
        self.lines: dict[int, Raw | None] = {}
        self.born: dict[int, int] = {}  # the serial at which each optimizer was constructed
        self.updates: dict[int, int] = {}
        self.compiled: list[Raw | None] = []  # where the framework's compiler was asked for
        self.backwards: list[tuple[int, list[int], Raw | None, list[Tracked], Any]] = []
        self.ends: list[int] = []  # the serial at which each closed step ended
        self.names: list[str] = []  # the name of each step begun
        self.returned: dict[int, Any] = {}
        self.scaled = False
        self.error: tuple[BaseException, Raw | None] | None = None
        self.started = time.perf_counter()
        self._stepped: set[Site] = set()  # where the running step has updated so far
        self._sites: set[Site] = set()  # where the last one did
        self._updating: list[tuple[Optimizer, Noted, bool]] = []
        self._over = -1  # when the last update was over
        self.stopped = False
        self._clearing = self._backing = 0

    def prepare(self, training: Any) -> None:
        """The training is built: forget what happened while it was, but for where its optimizers were constructed."""
        self.given = list(training.model.values())
        self.buffers = bool(training.trains or training.untouched)
        self.optimizers.update({id(each): each for each in training.optimizer.values()})
        self.events.clear()
        self.tracer.opaque.clear()
        self.modes.forget()
        self.running.forget()
        self.generators.forget()
        for model in self.given:
            self.running.follow(model)

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def step(self) -> int:
        """The number of the step that is running."""
        return len(self.ends)

    def begin(self, name: str = "") -> None:
        """A step of a Training begins."""
        self.names.append(name)
        self.generators.mark(self.note("step", name).index, torch.is_grad_enabled())

    def end(self) -> None:
        """The running step is over: take its measurements."""
        self._close(self.tracer.next())

    def finish(self) -> None:
        """A live recording is over. What began after the last update is no step, unless there was no update at all."""
        last = self.ends[-1] if self.ends else -1
        since = [event for event in self.events if event.index > last]
        updates = [event.index for event in since if event.kind in ("update", "manual")]
        if self.stopped:
            pass
        elif updates:
            over = max(updates[-1], self._over)
            begun = (e.index for e in since if e.index > over and e.kind in ("forward", "backward"))
            self._close(next(begun, self.tracer.next()) - 1)
        elif since and not self.ends:
            self.end()
        if self.live and self.ends:
            self.events = [event for event in self.events if event.index <= self.ends[-1]]

    def stop(self) -> None:
        """Enough was seen: what a loop does on its way out, or because it swallows its end, is no part of it."""
        if not self.stopped:
            self.finish()
            self.stopped = True
            self.tracer.paused += 1

    def _close(self, serial: int, *, settled: bool = False) -> None:
        with quiet():
            if not settled:
                self.book.settle()
            self.book.close()
            self.tracer.activations.turn()
            self.modes.end(self.step)
        self.ends.append(serial)
        self.running.ran.append(set(self.running.recent) if settled else set())
        self._sites, self._stepped = self._stepped, set()
        self.tracer.forget()

    def turn(self) -> None:
        """In a live loop: a step ends when all that the last one updated has been updated again.

        Not in the closure of an update: what runs there belongs to it.
        """
        if self.live and self._whole and not any(closing for _, _, closing in self._updating):
            self._close(self.tracer.next())

    @property
    def _whole(self) -> bool:
        """Whether the running step has made every update that the last one made."""
        return bool(self._sites) and self._stepped >= self._sites

    @property
    def turns(self) -> int:
        """How many steps of a live loop are over, as far as can be told before the next begins."""
        return len(self.ends) + (self._whole if self._sites else bool(self._stepped))

    def note(self, kind: str, subject: Any = "", line: Raw | None = None) -> Noted:
        """Put one event in its place in the order."""
        event = Noted(self.tracer.next(), kind, line or frames.position()[1], subject)
        self.events.append(event)
        return event

    def unfinished(self) -> None:
        """A model runs, so no optimizer does: one whose step raised had no post-hook."""
        self._updating = [each for each in self._updating if each[2]]

    @property
    def clearing_now(self) -> bool:
        """Whether a zero_grad runs."""
        return bool(self._clearing)

    @property
    def updating_now(self) -> bool:
        """Whether an optimizer's step runs."""
        return bool(self._updating)

    @property
    def deaf(self) -> bool:
        """What runs now is not the training: an optimizer's or backward's inside, a traced or forked copy."""
        return bool(self.tracer.paused or self._backing or unreal())

    def loaded(self, module: nn.Module, strict: bool, given: Any, result: Any) -> None:
        """A state was loaded into a module."""
        if not self.tracer.paused:
            self.loads.loaded(module, strict, len(given), result, frames.position()[1])

    def gave(self, module: nn.Module, state: Any) -> None:
        """A module gave its state; what happens outside the steps of a training is its preparation."""
        if self.names and not self.deaf:
            self.loads.gave(module, state, frames.position()[1])

    # ── the loop ───────────────────────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def backward(self, tensors: Any) -> Iterator[None]:
        """Around every backward; those that run inside another (checkpointing) are part of it."""
        if self.tracer.paused or self._backing:
            self._backing += 1
            try:
                yield
            finally:
                self._backing -= 1
            return
        self.turn()
        event = self.note("backward", "", frames.position()[1])
        self.generators.mark(event.index, torch.is_grad_enabled())
        roots = list(tensors_in(tensors))
        with quiet():
            ids = [self.tracer.value_of(root, event.line) for root in roots]
            self.book.backward_begins()
            plain = len(roots) == 1 and roots[0].numel() == 1 and not torch._C._are_functorch_transforms_active()
            loss = roots[0].detach().clone() if plain else None
        self._backing += 1
        self.tracer.paused += 1
        try:
            yield
        finally:
            self.tracer.paused -= 1
            self._backing -= 1
            with quiet():
                event.tensors = self.book.backward_ends()
            event.detail = {"loss": loss}
            self.backwards.append((event.index, ids, event.line, event.tensors, loss))
            for _, update, closing in self._updating[-1:]:
                update.detail["closure_backwards"] = update.detail.get("closure_backwards", 0) + int(closing)

    def pause(self) -> None:
        """A backward or an update is over and nothing of it is still on the stack: enough may have been seen."""
        if self.wanted is None or (self.tracer.off and not self.tracer.failure):
            return
        if self.tracer.failure or not (self._backing or self._updating):
            self.wanted(self)

    @contextmanager
    def clearing(self, owner: Any) -> Iterator[None]:
        """Around zero_grad of a model or an optimizer."""
        if self.tracer.paused or self._clearing:
            yield
            return
        tensors = (
            list(owner.parameters())
            if isinstance(owner, nn.Module)
            else [p for g in owner.param_groups for p in g["params"]]
        )
        with quiet():
            had = self.book.clearing(tensors)
        event = self.note("zero_grad", owner, frames.position()[1])
        self._clearing += 1
        self.tracer.paused += 1
        try:
            yield
        finally:
            self._clearing -= 1
            self.tracer.paused -= 1
            with quiet():
                event.tensors = self.book.cleared(had)

    def switching(self, module: nn.Module, mode: bool) -> None:
        """train() or eval() was called; the calls it makes on the submodules come from the framework's own lines."""
        if self.tracer.paused:
            return
        line = frames.position()[1]
        self.modes.switch(module, mode, frames.line_of(line))
        last = self.events[-1] if self.events else None
        if not (last is not None and last.kind == "mode" and last.line == line):
            self.note("mode", module, line).detail = {"training": mode}

    def created(self, optimizer: Optimizer, line: Raw | None) -> None:
        """An optimizer is constructed."""
        if id(optimizer) not in self.lines and not self.tracer.paused:  # paused: the recording is over
            self.lines[id(optimizer)] = line
            self.born[id(optimizer)] = self.tracer.next()
            self.optimizers[id(optimizer)] = optimizer
            if self.live and not self.backwards:  # what came before belongs to the building of the models
                self.events.clear()
                self.modes.forget()
                self.running.forget()

    @contextmanager
    def scheduling(self, scheduler: Any, explicit: bool) -> Iterator[None]:
        """Around a scheduler's step; the one it makes when it is constructed is not the user's."""
        last = self.events[-1] if self.events else None
        line = frames.position()[1]
        if not constructing() and not (last is not None and last.kind == "scheduler" and last.line == line):
            event = self.note("scheduler", getattr(scheduler, "optimizer", ""), line)
            event.detail = {"kind": type(scheduler).__name__, "explicit": explicit, **pace(scheduler)}
        yield

    @contextmanager
    def scaling(self, scaler: Any, optimizer: Optimizer) -> Iterator[None]:
        """Around GradScaler.step, which leaves the optimizer's step out when a gradient is not finite."""
        self.scaled = True
        before = self.updates.get(id(optimizer), 0)
        line = frames.position()[1]
        yield
        if self.updates.get(id(optimizer), 0) == before:
            detail = {"closure": False, "closure_backwards": 0, "skipped": True, "scale": scaler.get_scale()}
            self.note("update", optimizer, line).detail = detail
            self._stepped.add((self.slot(optimizer), line and (line,)))

    def slot(self, optimizer: Optimizer) -> Any:
        """What an optimizer shares with those that a loop puts in its place: where it is made, and for what."""
        held = next((id(p) for group in optimizer.param_groups for p in group["params"]), None)
        line = self.lines.get(id(optimizer))
        return id(optimizer) if line is None or held is None else (line, held)

    def updating(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """An optimizer's step begins (pre-hook)."""
        if self.tracer.paused:
            return None
        site = (self.slot(optimizer), frames.trail()[1])
        with quiet():
            if id(optimizer) not in self.updates:
                self.optimizers[id(optimizer)] = optimizer
                self.words.read(frames.user_frame())
                for tensor in self.book.add(p for group in optimizer.param_groups for p in group["params"]):
                    if tensor.is_leaf:
                        self.tracer.known.pop(id(tensor), None)
            if self.live and site in self._stepped:  # the second time round the loop: its first step ended before
                self._close(max(self._over, *(e.index for e in self.events if e.kind == "update")), settled=True)
            self._stepped.add(site)
            event = self.note("update", optimizer)
            event.detail = {"closure": False, "closure_backwards": 0, "skipped": False, "state": remembers(optimizer)}
            self._updating.append((optimizer, event, False))
            self.tracer.paused += 1
            closure = kwargs.get("closure") or next((each for each in args[1:] if callable(each)), None)
            if closure is None:
                event.tensors = self._used(optimizer)
                return None
        event.detail["closure"] = True
        self._updating[-1] = (optimizer, event, True)
        watched = self._watched(closure)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": watched}
        return tuple(watched if each is closure else each for each in args), kwargs

    def _watched(self, closure: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            paused, self.tracer.paused = self.tracer.paused, 0
            try:
                return closure(*args, **kwargs)
            finally:
                self.tracer.paused = paused

        return run

    def _used(self, optimizer: Optimizer) -> list[Tracked]:
        tensors = [(p, number(group.get("lr"))) for group in optimizer.param_groups for p in group["params"]]
        return self.book.updating(tensors)

    def updated(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """An optimizer's step is over (post-hook)."""
        if not self._updating or self._updating[-1][0] is not optimizer:
            return
        _, event, closing = self._updating.pop()
        self.tracer.paused = max(0, self.tracer.paused - 1)
        if closing:
            with quiet():
                event.tensors = self._used(optimizer)
        event.detail["kept"] = remembers(optimizer)
        event.detail["rates"] = [number(group.get("lr")) for group in optimizer.param_groups]
        self.updates[id(optimizer)] = self.updates.get(id(optimizer), 0) + 1
        self._over = self.tracer.next()
        self.running.recent.clear()

    def failed(self, error: BaseException) -> None:
        """The user's code raised: keep what and where."""
        line = None
        trace = error.__traceback__
        while trace is not None:
            if frames.kind_of_file(trace.tb_frame.f_code.co_filename) == frames.USER:
                line = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
            trace = trace.tb_next
        self.error = (error, line)
        self.note("error", "", line).detail = {"type": type(error).__name__, "message": str(error)}
        self.tracer.modules.clear()
        self.tracer.paused = self._backing = self._clearing = 0
        self._updating.clear()
        self.running.abandon()

    def release(self) -> None:
        """Everything is told: keep nothing of the user's, whatever still holds on to this recorder."""
        self.tracer.release()
        self.book.items.clear()
        self.book._storages.clear()
        self.running.forget()
        self.running._buffer_ids.clear()
        self.generators.forget()
        self.spent.release()
        self.modes, self.loads = ModeLog(), LoadLog()
        self.words = Words()
        for kept in (self.events, self.given, self.optimizers, self.backwards, self.returned, self._updating):
            kept.clear()
