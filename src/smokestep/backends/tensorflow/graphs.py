"""Graphs: the trace of the whole recording, cut into one dataflow graph for each step."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.dangling import computed
from smokestep.backends.tensorflow.naming import installed
from smokestep.backends.tensorflow.sources import definition
from smokestep.evidence.flow import Backward, Call, Graph, Op, Value


class Graphs:
    """The graphs of one recording; `assembly` names things."""

    def __init__(self, assembly: Any) -> None:
        self.assembly, self.recorder = assembly, assembly.recorder
        self.tracer = self.recorder.tracer
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

    def reached(self, step: int, first: int, last: int) -> bool:
        """Whether something computed between these serials leads to a backward root of the step."""
        if step >= self.assembly.count:
            return False
        if step not in self._needed:
            graph = self.all()[step]
            needed = graph.backward_of(graph.roots)
            self._needed[step] = (
                [op.id for op in graph.ops],
                [not needed.isdisjoint(op.makes) for op in graph.ops],
            )
        ids, leads = self._needed[step]
        return any(leads[bisect_left(ids, first) : bisect_left(ids, last)])

    def _graph(self, step: int, raw: list[Any]) -> Graph:
        never = list(computed(self.assembly, step))
        ops = (*(op for op, _ in never), *(self._op(step, op) for op in sorted(raw, key=lambda op: op.id)))
        backwards = tuple(
            Backward(
                index,
                tuple(roots),
                frames.line_of(line),
                tuple(filter(None, map(self.assembly.name, reached))),
            )
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
        values.update({each.id: each for _, some in never for each in some})
        known = {value.name for value in values.values()}
        for index, (name, uniform) in enumerate(self.recorder.batch_names.items(), 1):
            if name not in known and name not in self.recorder.host:  # nothing read it: a fact about the batch, too
                values[-index] = Value(-index, step, "input", name, uniform=uniform)
        opaque = tuple(
            (name, frames.line_of(line)) for at, name, line in self.tracer.opaque if self.assembly.step_of(at) == step
        )
        return Graph(step, values, ops, backwards, calls, tuple(dict.fromkeys(opaque)))

    def _op(self, step: int, op: Any) -> Op:
        return Op(
            id=op.id,
            step=step,
            name=op.name,
            reads=tuple(op.reads),
            makes=tuple(op.makes),
            line=frames.line_of(op.line),
            caller=frames.line_of(op.stack[0] if op.stack else op.line),
            module=self.assembly.module(op.module),
            grad=op.grad,
            escapes=op.escapes,
            inplace=op.inplace,
            args={key: value for key, value in op.args.items() if not isinstance(value, list)},
            outer=op.outer,
            stack=tuple(line for raw in op.stack if (line := frames.line_of(raw)) is not None),
        )

    def _value(self, step: int, serial: int, made: set[int]) -> Value:
        seen = self.tracer.values[serial]
        kind, name = seen.kind, ""
        if kind == "made" and serial not in made:
            kind = "carried"
        place = seen.place
        if place is not None and not isinstance(place, str):
            name = self.assembly.name(place)
            kind = "parameter" if self.assembly.is_parameter(place) else "buffer"
        elif isinstance(place, str):
            name = place
        return Value(
            id=serial,
            step=step,
            kind=kind,
            name=name,
            op=seen.op,
            shape=seen.shape,
            dtype=seen.dtype,
            requires_grad=seen.rg,
            peak=seen.peak,
            gradient=seen.gradient,
            gradient_mean=seen.mean,
            uniform=self.recorder.batch_names.get(name, False),
        )

    def _call(self, step: int, call: Any) -> Call:
        return Call(
            step=step,
            index=call.event.index,
            model=self.assembly.subject(call.layer),
            inputs=tuple(call.inputs),
            outputs=tuple(call.outputs),
            line=frames.line_of(call.event.line),
            training=call.training,
            grad=call.grad,
            spread=tuple(call.spread),
            varied=call.varied,
            definition=definition(type(call.layer)),
            installed=installed(type(call.layer)),
        )
