"""Recorder: hears every event of the loop, keeps them in the trace's order, and decides where a step ends.

It is the only mutable thing in a recording. What it keeps becomes evidence in `assembly`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.arrays import Arrays
from smokestep.backends.tensorflow.frames import Raw, Trail
from smokestep.backends.tensorflow.gradients import Gradients
from smokestep.backends.tensorflow.losses import LossLog
from smokestep.backends.tensorflow.meters import Activations
from smokestep.backends.tensorflow.optimizers import rate_of, remembers
from smokestep.backends.tensorflow.places import Place, Places
from smokestep.backends.tensorflow.running import Running
from smokestep.backends.tensorflow.trace import RawOp, Seen, peak_of
from smokestep.backends.tensorflow.tracer import Tracer


class StopWatching(BaseException):
    """Raised inside the user's loop when enough has been seen; no Exception, so that `except Exception` lets it by."""


class Noted:
    """One event while the recording runs; `places`: the variables it is about."""

    __slots__ = ("detail", "index", "kind", "line", "places", "subject")

    def __init__(self, index: int, kind: str, line: Raw | None, subject: Any) -> None:
        self.index, self.kind, self.line, self.subject = index, kind, line, subject
        self.places: list[Place] = []
        self.detail: dict[str, Any] = {}


class Recorder:
    """What one recording has heard so far. `wanted` is called when an update is over, and may raise StopWatching."""

    def __init__(self, *, live: bool, wanted: Any = None) -> None:
        self.live, self.wanted = live, wanted
        self.tracer = Tracer(self)
        self.places = Places()
        self.running = Running(self)
        self.arrays = Arrays(self.tracer)
        self.losses = LossLog(self)
        self.activations = Activations()
        self.gradients = Gradients(self)
        self.events: list[Noted] = []
        self.optimizers: dict[int, Any] = {}
        self.held: dict[int, dict[int, Place]] = {}  # by optimizer: what it was given to update
        self.updates: dict[int, int] = {}
        self.built: dict[int, tuple[Any, Raw | None]] = {}  # layers, losses, optimizers: where they were constructed
        self.born: dict[int, int] = {}
        self.applied: dict[int, tuple[Any, Raw | None]] = {}  # layers: where they were applied to a symbolic tensor
        self.compiled: dict[int, tuple[Any, Raw | None]] = {}
        self.backwards: list[tuple[int, list[int], Raw | None, list[Place], float | None]] = []
        self.ends: list[int] = []
        self.names: list[str] = []
        self.returned: dict[int, float | None] = {}
        self.batch: dict[int, str] = {}  # tensors of the batch, by number
        self.batch_names: dict[str, bool] = {}  # every name in the batch; whether its entries are all equal
        self.host: set[str] = set()  # those that are NumPy's, whose own functions may read them unseen
        self.variables: dict[int, str] = {}  # names of those that do not train, known once the recording is over
        self.error: tuple[BaseException, Raw | None] | None = None
        self.started = time.perf_counter()
        self.stopped = False
        self.gathering = False  # an optimizer only added gradients to those of a later update
        self.dry: Any = None  # while a step is made again without its update: what hears its losses
        self._sites: set[Any] = set()
        self._stepped: set[Any] = set()

    def guarded(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call something of the recorder's own; if it fails, the user's code goes on, and the recording is void."""
        self.tracer.paused += 1
        try:
            return function(*args)
        except Exception as error:
            self.tracer.failure = self.tracer.failure or f"{type(error).__name__}: {error}"
            return None
        finally:
            self.tracer.paused -= 1

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def step(self) -> int:
        """The number of the step that is running."""
        return len(self.ends)

    def prepare(self) -> None:
        """The training is built: what happened while it was is forgotten."""
        self.events.clear()
        self.backwards.clear()
        self.tracer.opaque.clear()
        self.tracer.ops.clear()
        self.tracer.values.clear()
        self.tracer.known.clear()
        self.running.forget()
        self.losses.calls.clear()
        for place in self.places:
            place.version, place.row = None, type(place.row)()
            self.places.shadow(place)

    def begin(self, name: str = "") -> None:
        """A step of a Training begins."""
        self.names.append(name)
        self.note("step", name)

    def end(self) -> None:
        """The running step is over: take its measurements."""
        self._close(self.tracer.next())

    def _close(self, serial: int) -> None:
        self.tracer.forget()
        self.running.turn()
        self.places.turn()
        self.activations.turn()
        self.arrays.forget()
        self.ends.append(serial)
        self._sites, self._stepped = self._stepped, set()

    def finish(self) -> None:
        """A live recording is over; what began after the last update is no step, unless there was no update at all."""
        last = self.ends[-1] if self.ends else -1
        since = [event for event in self.events if event.index > last]
        if self.stopped or not since:
            return
        if any(event.kind in ("update", "manual") for event in since) or not self.ends:
            self._close(self.tracer.next())

    def stop(self) -> None:
        """Enough was seen: what a loop does on its way out is no part of it."""
        if not self.stopped:
            self.finish()
            self.stopped = True
            self.tracer.paused += 1

    def turn(self) -> None:
        """In a live loop: a step ends when all that the last one updated has been updated again, and work begins."""
        if self.live and self._stepped and (not self._sites or self._stepped >= self._sites):
            self._close(self.tracer.next())

    @property
    def turns(self) -> int:
        """How many steps of a live loop are over, as far as can be told before the next begins."""
        return len(self.ends) + bool(self._stepped and self._stepped >= self._sites)

    def note(self, kind: str, subject: Any = "", line: Raw | None = None) -> Noted:
        """Put one event in its place in the order."""
        self.tracer.close_group()
        event = Noted(self.tracer.next(), kind, line or frames.position(1)[1], subject)
        self.events.append(event)
        return event

    def pause(self) -> None:
        """An update is over and nothing of it is still on the stack: enough may have been seen."""
        if self.wanted is not None and not self.stopped:
            self.wanted(self)

    # ── what the tracer asks and tells ─────────────────────────────────────────────────────────────────────────
    def given(self, tensor: Any) -> str | None:
        """The name of an element of the batch."""
        return self.batch.get(tensor._id)

    def read_unseen(self, tensor: Any) -> Any:
        """The handle of the variable that was read to give this tensor, if it is known."""
        return self.places.holding(tensor) if self.places.asked else None

    def heard(self) -> None:
        """An operation is over: what was read for it is known."""
        self.places.asked.clear()

    def knows(self, handle: Any) -> bool:
        """Whether the variable of a handle is made."""
        return self.places.knows(handle)

    def place(self, handle: Any) -> Place:
        """The variable of a handle."""
        return self.places.of(handle, self.step)

    def trains(self, place: Place) -> bool:
        """Whether a variable is to be trained."""
        return self.places.trainable(place)

    def read(self, place: Place) -> None:
        """A variable was read."""
        place.used = True

    def wrote(self, place: Place, found: Trail) -> None:
        """A variable was written, by no optimizer."""
        if place.kind != "parameter" or self.running.building(place):
            return
        line = found.stack[0] if found.stack else found.line
        last = self.events[-1] if self.events else None
        if last is not None and last.kind == "manual" and last.line == line:
            last.places.append(place)
        else:
            self.note("manual", "", line).places.append(place)

    def lines(self, found: Trail, module: Any) -> tuple[Raw | None, tuple[Raw, ...]]:
        """The line of an operation, and the user's lines behind it; of a layer that a container of Keras calls, the
        line that put it there."""
        declared = self.running.declared(found)
        if declared is not None:
            return declared, (declared, *found.stack)
        return found.line, found.stack

    def did(self, op: RawOp, outputs: Any) -> None:
        """An operation ran."""

    def entered(self, op: RawOp, within: Any) -> None:
        """A known function of the framework begins."""
        self.losses.entered(op, within)

    def left(self, op: RawOp) -> None:
        """It is over."""
        self.losses.left(op)

    def activated(self, op: RawOp, seen: Seen, tensor: Any) -> None:
        """An activation gave this."""
        self.activations.measure(op, seen, tensor, self.step)

    def gave(self, made: Seen, result: Any, array: Any) -> None:
        """A tensor became a number or an array of Python's."""
        self.arrays.gave(made, result, array)

    def imported(self, value: Any, tensor: Any) -> None:
        """A tensor was made of Python's numbers."""
        self.arrays.came(value, tensor)

    def custom(self, name: str, outputs: Any, inputs: Any) -> None:
        """A function with a gradient of its own gave these."""
        tracer = self.tracer
        reads = [tracer.known[each._id] for each in inputs if getattr(each, "_id", None) in tracer.known]
        if not any(each.rg for each in reads):
            return
        for each in outputs:
            seen = tracer.known.get(getattr(each, "_id", None))
            if seen is None or seen.kind != "made":
                continue
            if (not seen.rg or seen.outside) and seen.dtype.startswith("float"):
                seen.rg, seen.outside = True, False
                tracer.alive.append((seen, each))
                maker = next((op for op in reversed(tracer.ops) if op.id == seen.op), None)
                if maker is not None:
                    maker.reads = list(dict.fromkeys((*maker.reads, *(r.id for r in reads if r.id != seen.id))))
                    maker.grad = True

    # ── layers ─────────────────────────────────────────────────────────────────────────────────────────────────
    def is_layer(self, operation: Any) -> bool:
        """Whether an operation of Keras is a layer."""
        return hasattr(operation, "_call_has_training_arg") or hasattr(operation, "trainable_variables")

    def constructed(self, thing: Any) -> None:
        """A layer, a loss or an optimizer is constructed."""
        self.born[id(thing)] = self.tracer.next()
        if hasattr(thing, "apply_gradients"):
            self.optimizers[id(thing)] = thing

    def compiling(self, frame: Any) -> Raw | None:
        """The line of the `compile` whose loss runs in this frame."""
        loss = frame.f_locals.get("self")
        for model, line in self.compiled.values():
            if getattr(model, "_compile_loss", None) is loss:
                return line
        return None

    def enters(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """A layer is about to run."""
        return self.running.enters(layer, args, kwargs)

    def leaves(self, entry: Any) -> None:
        """It has run, or raised."""
        self.running.leaves(entry)

    def answered(self, entry: Any, result: Any) -> None:
        """It gave this."""
        self.running.answered(entry, result)

    # ── updates ────────────────────────────────────────────────────────────────────────────────────────────────
    def updating(self, optimizer: Any, grads: list[Any], variables: list[Any] | None) -> None:
        """An optimizer is about to apply gradients."""
        if variables is None:
            variables = list(getattr(optimizer, "_trainable_variables", ()))
        line = frames.trail(2)
        site = (id(optimizer), line.stack)
        if self.live and site in self._stepped:
            self._close(max(event.index for event in self.events if event.kind == "update"))
        self._stepped.add(site)
        self.optimizers.setdefault(id(optimizer), optimizer)
        held = self.held.setdefault(id(optimizer), {})
        event = self.note("update", optimizer, line.stack[0] if line.stack else line.line)
        rate = rate_of(optimizer)
        event.detail = {
            "closure": False,
            "closure_backwards": 0,
            "skipped": False,
            "state": self.updates.get(id(optimizer), 0) > 0 or _counted(optimizer) > 0,
            "kept": remembers(optimizer),
            "rates": [rate],
        }
        sources: set[int] = set()
        for gradient, variable in zip(grads, variables, strict=False):
            place = self.places.of_variable(variable, self.step)
            if place is None:
                continue
            held[id(place)] = place
            if gradient is None:
                continue
            event.places.append(place)
            place.row.gradient, place.row.rate = peak_of(gradient), rate
            place.row.spread = self.running.spread(place, gradient)
            seen = self.tracer.known.get(getattr(getattr(gradient, "values", gradient), "_id", None))
            sources |= set(seen.since) if seen is not None else set()
        if sources:
            event.detail["from"] = frozenset(sources)
            self._again(event)
        for variable in getattr(optimizer, "_trainable_variables", ()):
            place = self.places.of_variable(variable, self.step)
            if place is not None:
                held[id(place)] = place

    def _again(self, event: Noted) -> None:
        """If these gradients were applied before, the update did not use them up."""
        before = [each for each in self.events if each.kind == "update" and each is not event]
        last = before[-1] if before else None
        if last is None or last.subject is not event.subject or last.detail.get("from") != event.detail["from"]:
            return
        if {id(each) for each in event.places} <= {id(each) for each in last.places}:
            self.events.remove(next(each for each in reversed(self.events) if each.kind == "zero_grad"))

    def updated(self, optimizer: Any) -> None:
        """It has applied them; gradients of a tape are used once, so nothing is left over for the next."""
        event = next(each for each in reversed(self.events) if each.kind == "update")
        self.updates[id(optimizer)] = self.updates.get(id(optimizer), 0) + 1
        for place in self.places:
            if place.variable is not None:
                place.version = None
        self.note("zero_grad", optimizer, event.line).places = list(event.places)

    def failed(self, error: BaseException) -> None:
        """The user's code raised; the step ends here."""
        if self.error is None:
            at: Raw | None = None
            trace = error.__traceback__
            while trace is not None:
                name = trace.tb_frame.f_code.co_filename
                if frames.kind_of_file(name) == frames.USER:
                    at = (name, trace.tb_lineno)
                trace = trace.tb_next
            self.error = (error, at)
            self.tracer.layers.clear()
            self.note("error", "", at).detail = {"type": type(error).__name__, "message": str(error)}


def _counted(optimizer: Any) -> int:
    """How many updates an optimizer has made."""
    return int(optimizer.iterations) if getattr(optimizer, "built", True) else 0


def number(value: Any) -> float | None:
    """A plain number."""
    array = np.asarray(value) if value is not None else None
    return float(array) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None
