"""Gradients: what a tape is asked for, and, beside it, the gradients of all that lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.python import pywrap_tfe

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.places import Place
from smokestep.backends.tensorflow.trace import Seen, mean_of, peak_of

if TYPE_CHECKING:
    from smokestep.backends.tensorflow.recorder import Noted, Recorder


class Gradients:
    """Asks a tape for more than the user does, and gives the user what was asked."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def asked(self, function: Any, target: Any, sources: Any, given: Any, raw: Any, unconnected: Any) -> list[Any]:
        """A tape is asked for gradients: ask also for those of what lies between, and give what was asked."""
        recorder, tracer = self.recorder, self.recorder.tracer
        recorder.guarded(recorder.turn)
        event = recorder.guarded(recorder.note, "backward", "", frames.position(1)[1])
        asked = {each._id for each in sources}
        extra = [(seen, tensor) for seen, tensor in tracer.alive if tensor._id not in asked]
        spare = [
            place
            for place in self.recorder.places
            if place.variable is not None and place.version is not None and place.version.rg
        ]
        spare = [place for place in spare if place.variable._handle._id not in asked]
        more = [*(tensor for _, tensor in extra), *(place.variable._handle for place in spare)]
        with tracer.quiet():
            zeros = str(getattr(unconnected, "value", unconnected)) == "zero"
            found = function(target, [*sources, *more], given, None, tf.UnconnectedGradients.NONE)
        gradients = list(found[: len(sources)])
        if event is not None:
            recorder.guarded(self._received, event, target, sources, gradients, extra, found[len(sources) :], spare)
        if zeros:
            with tracer.quiet():
                gradients = [
                    tf.zeros_like(raw[i] if raw else sources[i]) if each is None else each
                    for i, each in enumerate(gradients)
                ]
        return gradients

    def _received(
        self, event: Noted, target: Any, sources: Any, gradients: Any, extra: Any, more: Any, spare: Any
    ) -> None:
        tracer = self.recorder.tracer
        roots = [tracer.value_of(each) for each in target]
        for (seen, _), gradient in zip(extra, more, strict=False):
            tracer.arrived(seen, gradient, mean_of(gradient) if seen.id in self.recorder.running.outputs else None)
        for place, gradient in zip(spare, more[len(extra) :], strict=False):
            if gradient is not None:
                place.row.measured = max(place.row.measured or 0.0, peak_of(gradient) or 0.0)
                tracer.arrived(place.version, gradient)
        for source, gradient in zip(sources, gradients, strict=True):
            place = self._place_of(source)
            if place is not None:
                place.asked = True
            if gradient is None:
                continue
            known = place.version if place is not None else tracer.known.get(source._id)
            if known is not None:
                tracer.arrived(known, gradient)
            if place is not None:
                event.places.append(place)
                place.row.received = peak_of(gradient)
            self._differentiated(event, roots, known, place, gradient)
        loss = float(target[0]) if len(target) == 1 and not target[0].shape.rank else None
        event.detail = {"loss": loss}
        self.recorder.backwards.append((event.index, [root.id for root in roots], event.line, event.places, loss))

    def _differentiated(self, event: Noted, roots: list[Seen], known: Any, place: Place | None, gradient: Any) -> None:
        """A gradient is a value of its own; where another tape records it, or it is one of data, it has a history."""
        tracer = self.recorder.tracer
        values = getattr(gradient, "values", gradient)
        recorded = bool(pywrap_tfe.TFE_Py_TapeSetPossibleGradientTypes([values]))
        made = tracer._new("input", None, values)
        made.peak, made.since = peak_of(values), frozenset((event.index,))
        tracer.known[values._id] = made
        if known is not None and (recorded or place is None):
            found = frames.trail(3)
            op = tracer.open("grad", found)
            op.reads, op.makes = [*(root.id for root in roots), known.id], [made.id]
            op.args["create_graph"] = recorded
            op.grad = True
            made.kind, made.op, made.rg = "made", op.id, recorded
            tracer.ops.append(op)
            if recorded:
                tracer.alive.append((made, values))

    def _place_of(self, source: Any) -> Place | None:
        return self.recorder.places.of(source, self.recorder.step) if source.dtype == tf.resource else None
