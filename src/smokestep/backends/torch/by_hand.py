"""By hand: what a loop does without the calls made for it: gradients cleared, replaced or clipped, parameters written.

The tracer tells of it while it records the dataflow; one line of the user's is one event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from smokestep.backends.torch import frames
from smokestep.backends.torch.calls import Noted, number
from smokestep.backends.torch.frames import Raw
from smokestep.backends.torch.meters import Tracked
from smokestep.backends.torch.quiet import quiet
from smokestep.backends.torch.vocabulary import tensors_in

if TYPE_CHECKING:
    from smokestep.backends.torch.recorder import Recorder

Tensor = torch.Tensor


class ByHand:
    """What the tracer sees beside values, told to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def kind_of(self, tensor: Tensor) -> str:
        """For the tracer: what a tensor that no operation made is."""
        return self.recorder.running.kind_of(tensor)

    def regraded(self, tensor: Tensor, new: Any) -> None:
        """A gradient was set by hand: cleared or replaced, either way what was there is gone."""
        with quiet():
            # `p.grad += …` stores the same tensor back
            if self.recorder.clearing_now or (new is not None and tensor.grad is new):
                return
            had = self.recorder.book.clearing([tensor])
            item = self.recorder.book.get(tensor)
            if item is not None:
                item.used, item.leftover, item.fresh = False, None, new is not None
                had = [item]
        self._join("zero_grad", had, frames.position()[1]).detail = {"replaced": new is not None}

    def zeroed(self, args: Any) -> bool:
        """Whether these tensors are gradients of followed parameters, zeroed by hand; if so, that is an event."""
        if self.recorder.clearing_now:
            return False
        with quiet():
            places = {_place(each) for each in tensors_in(args)}
            kept = self.recorder.book.parameters()
            items = [item for item in kept if item.tensor.grad is not None and _place(item.tensor.grad) in places]
            had = self.recorder.book.clearing([item.tensor for item in items])
            for item in had:
                item.used, item.leftover = False, None
        if had:
            self._join("zero_grad", had, frames.position()[1])
        return bool(had)

    def clipped(self, asked: Tensor | None) -> None:
        """An operation of gradient clipping runs, or it asks a parameter for its gradient: one event for all of them.

        A parameter that has none is noted as well: a clipping of nothing makes no operation at all.
        """
        line = frames.position()[1]
        last = self.recorder.events[-1] if self.recorder.events else None
        if last is None or last.kind != "clip" or last.line != line:
            event = self.recorder.note("clip", "", line)
            frame = frames.within(frames.CLIP)
            found = frame.f_locals if frame is not None else {}
            event.detail = {"limit": number(found.get("max_norm", found.get("clip_value")))}
            spent = self.recorder.spent.clipping(frame)
            if spent is not None:
                event.detail["exhausted"] = spent
                return
            with quiet():
                event.tensors = [item for item in self.recorder.book.parameters() if item.tensor.grad is not None]
            last = event
        if asked is not None:
            with quiet():
                item = self.recorder.book.get(asked)
                if item is not None and asked.grad is None and item not in last.tensors:
                    last.tensors.append(item)

    def wrote(self, tensor: Tensor, line: Raw | None) -> None:
        """A parameter was written in place by hand."""
        item = self.recorder.book.get(tensor)
        if item is not None and not item.buffer and not self.recorder.updating_now:
            self._join("manual", [item], line)

    def wrote_into(self, storage: int, line: Raw | None) -> None:
        """Memory was written in place: perhaps a parameter's, through `.data` or a view."""
        if not self.recorder.updating_now and (item := self.recorder.book.at(storage)) is not None:
            self._join("manual", [item], line)

    def _join(self, kind: str, items: list[Tracked], line: Raw | None) -> Noted:
        last = self.recorder.events[-1] if self.recorder.events else None
        if last is None or last.kind != kind or last.line != line:
            last = self.recorder.note(kind, "", line)
        last.tensors += items
        return last

    def compared(self, seen: Any, name: str, args: Any, kwargs: Any, line: Raw | None) -> None:
        """A recognised loss is about to be computed."""
        self.recorder.running.compared(seen, name, args, kwargs, line)

    def normalized(self, args: Any, kwargs: Any, line: Raw | None, grad: bool) -> None:
        """Batch normalization was called as a function; that of its modules is the modules' business."""
        module = self.recorder.tracer.module
        if module is not None and not isinstance(module, nn.modules.batchnorm._NormBase):
            self.recorder.modes.normalized(
                self.recorder.step,
                args,
                kwargs,
                module,
                lambda: frames.line_of(line),
                grad,
                self.recorder.tracer._serial,
            )

    def dropped(self, name: str, args: Any, kwargs: Any, line: Raw | None, grad: bool) -> None:
        """A dropout function ran; those of dropout modules are the modules' business."""
        module = self.recorder.tracer.module
        if not (isinstance(module, nn.modules.dropout._DropoutNd) or line is None):
            self.recorder.modes.dropout(self.recorder.step, args, kwargs, module, frames.line_of(line), grad, name=name)


def _place(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse, or a wrapper: without memory of its own
        return id(tensor)
