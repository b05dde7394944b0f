"""Graphs: the trace of the whole recording, cut into one dataflow graph for each step."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from smokestep.backends.torch import frames, sources
from smokestep.backends.torch.meters import numbers
from smokestep.backends.torch.naming import installed
from smokestep.evidence.flow import Backward, Call, Graph, Op, Value


class Graphs:
    """The graphs of one recording; `assembly` names things."""

    def __init__(self, assembly: Any) -> None:
        self.assembly, self.recorder = assembly, assembly.recorder
        self.tracer = self.recorder.tracer
        self._measured = self._numbers()
        self._graphs: tuple[Graph, ...] | None = None
        self._needed: dict[int, tuple[list[int], list[bool]]] = {}

    def all(self) -> tuple[Graph, ...]:
        """One graph a step, in order."""
        if self._graphs is None:
            ops: list[list[Any]] = [[] for _ in range(self.assembly.count)]
            for op in self.tracer.ops:
                if (step := self.assembly.step_of(op.id)) < self.assembly.count:
                    ops[step].append(op)
            self._graphs = tuple(self._graph(step, part) for step, part in enumerate(ops))
        return self._graphs

    def reached(self, step: int, serial: int) -> bool:
        """Whether something computed from this serial on leads to a backward root of the step."""
        if step >= self.assembly.count:
            return False
        if step not in self._needed:
            graph = self.all()[step]
            needed = graph.backward_of(graph.roots)
            ops = [op for op in graph.ops if op.makes]  # what only hands on what it was given says nothing
            self._needed[step] = ([op.id for op in ops], [not needed.isdisjoint(op.makes) for op in ops])
        ids, leads = self._needed[step]
        at = bisect_left(ids, serial)
        return any(leads[at : at + 4])

    def _numbers(self) -> dict[int, tuple[float | None, float | None, float | None]]:
        seen = list(self.tracer.values.values())
        peaks = numbers([each.peak for each in seen])
        flat = [(index, gradient) for index, each in enumerate(seen) for gradient in each.gradient or ()]
        gradients: dict[int, float] = {}
        for (index, _), value in zip(flat, numbers([gradient for _, gradient in flat]), strict=True):
            known = gradients.get(index)
            gradients[index] = value if known is None or value != value or value > known else known
        means = numbers([sum(each.mean) / len(each.mean) if each.mean else None for each in seen])
        return {each.id: (peaks[i], gradients.get(i), means[i]) for i, each in enumerate(seen)}

    def _graph(self, step: int, raw: list[Any]) -> Graph:
        ops = tuple(self._op(step, op) for op in raw)
        backwards = tuple(
            Backward(index, tuple(roots), frames.line_of(line), tuple(filter(None, map(self.assembly.name, reached))))
            for index, roots, line, reached, _ in self.recorder.backwards
            if self.assembly.step_of(index) == step
        )
        calls = tuple(
            self._call(step, call)
            for call in self.recorder.running.calls
            if self.assembly.step_of(call.event.index) == step
        )
        made = {value for op in ops for value in op.makes}
        wanted = {value for op in ops for value in (*op.reads, *op.makes)}
        wanted |= {root for backward in backwards for root in backward.roots}
        wanted |= {value for call in calls for value in (*call.outputs, *(each for _, each in call.inputs))}
        values = {value: self._value(step, value, made) for value in sorted(wanted) if value in self.tracer.values}
        known = {value.name for value in values.values()}
        for index, name in enumerate(self.assembly.batch.values(), 1):
            if name not in known:  # nothing read it: that too is a fact about the batch
                values[-index] = Value(-index, step, "input", name, uniform=name in self.assembly.uniform)
        opaque = tuple(
            (name, frames.line_of(line)) for at, name, line in self.tracer.opaque if self.assembly.step_of(at) == step
        )
        return Graph(step, values, ops, backwards, calls, tuple(dict.fromkeys(opaque)))

    def _op(self, step: int, op: Any) -> Op:
        return Op(
            id=op.id,
            step=step,
            name=op.name,
            reads=tuple(dict.fromkeys(op.reads)) if op.outer else tuple(op.reads),
            makes=tuple(op.makes),
            line=frames.line_of(op.line),
            caller=frames.line_of(op.stack[0] if op.stack else op.line),
            module=self.assembly.models.paths.get(id(op.module), "") if op.module is not None else "",
            grad=op.grad,
            escapes=op.escapes,
            inplace=op.inplace,
            args=op.args,
            outer=op.outer,
            stack=tuple(line for raw in op.stack if (line := frames.line_of(raw)) is not None),
        )

    def _value(self, step: int, serial: int, made: set[int]) -> Value:
        seen = self.tracer.values[serial]
        kind, name = seen.kind, ""
        if kind == "made" and serial not in made:
            kind = "carried"
        tensor = self.tracer.sources.get(serial, lambda: None)()
        if tensor is not None:
            if id(tensor) in self.assembly.names:
                kind, name = ("parameter" if kind != "made" else kind), self.assembly.names[id(tensor)]
            elif id(tensor) in self.assembly.models.buffers:
                kind, name = "buffer", self.assembly.models.buffers[id(tensor)]
        elif kind == "input":
            tensor = seen.ref()
            name = self.assembly.batch.get(id(tensor), "") if tensor is not None else ""
        peak, gradient, mean = self._measured[serial]
        return Value(
            id=serial,
            step=step,
            kind=kind,
            name=name,
            op=seen.op,
            shape=seen.shape,
            dtype=seen.dtype,
            requires_grad=seen.rg,
            peak=peak,
            gradient=gradient,
            gradient_mean=mean,
            uniform=name in self.assembly.uniform,
            kept=kind == "made" and seen.rg and self._kept(seen),
        )

    def _kept(self, seen: Any) -> bool:
        tensor = seen.ref()  # an earlier version of a tensor written in place is gone
        return tensor is not None and tensor.grad_fn is not None and self.tracer.known.get(id(tensor)) is seen

    def _call(self, step: int, call: Any) -> Call:
        spreads = numbers(call.spread)
        return Call(
            step=step,
            index=call.event.index,
            model=self.assembly.subject(call.module),
            inputs=tuple(call.inputs),
            outputs=tuple(call.outputs),
            line=frames.line_of(call.event.line),
            training=call.training,
            grad=call.grad,
            spread=tuple(spreads),
            varied=call.varied,
            definition=sources.forward_line(call.module),
            installed=installed(type(call.module)),
        )
