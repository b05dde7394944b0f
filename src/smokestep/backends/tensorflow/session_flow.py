"""Flow of runs: the graph of one step, made of what its runs executed and of what no run needed.

A value is one tensor in one run. What the graph describes and no run of the step executes is told once, in the run that
trains: whoever wrote it meant it to be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from smokestep.backends.tensorflow import graph_lines, graph_losses, graph_names, graph_words
from smokestep.backends.tensorflow.graph_forward import Node
from smokestep.backends.tensorflow.graph_losses import Seen
from smokestep.backends.tensorflow.graph_marks import Applied, Differentiation, dense
from smokestep.backends.tensorflow.session_numbers import Measured, largest
from smokestep.backends.tensorflow.session_runs import Ran
from smokestep.evidence.flow import Backward, Call, Graph, Op, Value
from smokestep.evidence.steps import Event


class StepFlow:
    """The graph of one step on its way: values, operations, calls and events, numbered in order."""

    def __init__(self, flow: Any, step: int) -> None:
        self.flow, self.step = flow, step
        self.values: dict[int, Value] = {}
        self.ops: list[Op] = []
        self.backwards: list[Backward] = []
        self.calls: list[Call] = []
        self.events: list[Event] = []
        self.seen: list[Seen] = []
        self.latest: dict[str, int] = {}  # value of a name in the last run that had it
        self.of_run: dict[int, dict[str, int]] = {}

    def graph(self) -> Graph:
        """The graph, once every run was told."""
        return Graph(self.step, self.values, tuple(self.ops), tuple(self.backwards), tuple(self.calls))

    def serial(self) -> int:
        """The next number, of an event, a value or an operation."""
        return next(self.flow.serials)

    def tell(self, ran: Ran, unexecuted: bool) -> None:
        """One run: its forward computation, then what it differentiated and applied."""
        flow, forward = self.flow, ran.forward
        names: dict[str, int] = {}
        self.of_run[ran.index] = names
        differentiated = flow.effective(ran)
        begun = self.serial()
        included: set[str] = set()
        calls: dict[str, list[Node]] = {}
        for node in forward.nodes:
            executed = ran.did(node.makes[0]) and node.makes[0].name not in ran.feeds
            if not executed and not (unexecuted and self._worth(ran, node, included)):
                continue
            self._op(ran, node, names, executed, differentiated)
            included.update(each.name for each in node.makes)
            if executed:
                network = flow.network_call(node)
                if network is not None:
                    calls.setdefault(network, []).append(node)
        self._call(ran, begun, calls, names)
        line = graph_lines.line_of(ran.line)
        for name in ran.fetched:
            if name in names and self.values[names[name]].requires_grad:
                self.ops.append(
                    Op(
                        self.serial(),
                        self.step,
                        "numpy",
                        (names[name],),
                        (),
                        line,
                        line,
                        escapes=True,
                        stack=(line,) if line else (),
                    )
                )
        self._updates(ran, names, differentiated)
        self.latest.update(names)

    def _worth(self, ran: Ran, node: Node, included: set[str]) -> bool:
        """Whether something that was not executed is to be told: it works on what could train."""
        if self.flow.executed_in(self.step, node):
            return False
        trained = ran.forward.trained
        return any(trained.get(each, False) for each in node.reads)

    # ── values and operations ──────────────────────────────────────────────────────────────────────────────────
    def _op(self, ran: Ran, node: Node, names: dict[str, int], executed: bool, found: list[Differentiation]) -> None:
        number = self.serial()
        reads = tuple(self._read(ran, each, names, found) for each in node.reads)
        makes = tuple(self._made(ran, each, number, names, executed, found) for each in node.makes)
        stack = tuple(line for raw in node.stack if (line := graph_lines.line_of(raw)))
        line = graph_lines.line_of(node.line)
        name = node.makes[0].op.name
        module = "" if node.name in graph_words.LOSSES else graph_names.module_of(name, self.flow.scopes(ran.forward))
        op = Op(
            number,
            self.step,
            node.name,
            reads,
            makes,
            line,
            stack[0] if stack else line,
            module,
            args=node.args,
            stack=stack,
        )
        self.ops.append(op)
        if executed and node.name in graph_words.LOSSES:
            self.seen.append(Seen(node, op, ran.forward, ran.numbers, names))

    def _read(self, ran: Ran, name: str, names: dict[str, int], found: list[Differentiation]) -> int:
        if name in names:
            return names[name]
        variables = ran.forward.variables
        if name in variables:
            return self._variable(ran, name, names, found)
        if name in self.latest and name not in ran.feeds and not self._given(ran, name):
            return self.latest[name]
        tensor = ran.forward.graph.get_tensor_by_name(name)
        known = ran.numbers.get(name)
        hidden = tensor.op._id in ran.forward.hidden
        plain = tensor.op.type in ("Placeholder", "PlaceholderWithDefault")
        number = names[name] = self.serial()
        self.values[number] = Value(
            number,
            self.step,
            "unknown" if hidden and name not in ran.feeds else "input",
            name if plain or tensor.op.type == "IteratorGetNext" else "",
            shape=known.shape if known else _static(tensor),
            dtype=tensor.dtype.base_dtype.name,
            peak=known.peak if known else None,
            uniform=bool(known and known.uniform),
        )
        return number

    def _given(self, ran: Ran, name: str) -> bool:
        return ran.forward.graph.get_tensor_by_name(name).op.type in ("Placeholder", "PlaceholderWithDefault", "Const")

    def _variable(self, ran: Ran, name: str, names: dict[str, int], found: list[Differentiation]) -> int:
        variable = ran.forward.variables[name]
        number = names[name] = self.serial()
        statistic = name not in self.flow.parameters
        gradient = self._gradient(ran, [each.of(name) for each in found])
        value = ran.before.get(name)
        self.values[number] = Value(
            number,
            self.step,
            "buffer" if statistic else "parameter",
            graph_names.dotted(name),
            shape=_units_first(_static(variable), self.flow.layers(ran.forward).get(name, "")),
            dtype=variable.dtype.base_dtype.name,
            requires_grad=not statistic and self.flow.parameters[name],
            peak=None if value is None else largest(value),
            gradient=gradient.peak if gradient else None,
            gradient_mean=gradient.mean if gradient else None,
        )
        return number

    def _made(
        self, ran: Ran, tensor: Any, op: int, names: dict[str, int], executed: bool, found: list[Differentiation]
    ) -> int:
        number = names[tensor.name] = self.serial()
        known = ran.numbers.get(tensor.name) if executed else None
        gradient = self._gradient(ran, [each.arrived.get(tensor.name) for each in found]) if executed else None
        self.values[number] = Value(
            number,
            self.step,
            "made",
            op=op,
            shape=known.shape if known else _static(tensor),
            dtype=tensor.dtype.base_dtype.name,
            requires_grad=ran.forward.trained.get(tensor.name, False),
            peak=known.peak if known else None,
            gradient=gradient.peak if gradient else None,
            gradient_mean=gradient.mean if gradient else None,
        )
        return number

    @staticmethod
    def _gradient(ran: Ran, tensors: list[Any]) -> Measured | None:
        names = [dense(each).name for each in tensors if each is not None]
        known = [ran.gradients[name] for name in names if name in ran.gradients]
        return max(known, key=lambda each: each.peak or 0.0) if known else None

    # ── calls, backward passes, updates ────────────────────────────────────────────────────────────────────────
    def _call(self, ran: Ran, begun: int, calls: dict[str, list[Node]], names: dict[str, int]) -> None:
        consumers: dict[str, list[Node]] = {}
        for node in ran.forward.nodes:
            if ran.did(node.makes[0]):
                for each in node.reads:
                    consumers.setdefault(each, []).append(node)
        for network, nodes in calls.items():
            own = {id(node) for node in nodes}
            made = {each.name for node in nodes for each in node.makes}
            outputs = [
                each
                for node in nodes
                for each in node.makes
                if any(id(reader) not in own for reader in consumers.get(each.name, ())) or each.name in ran.fetched
            ]
            outputs = outputs or list(nodes[-1].makes[:1])
            reads = dict.fromkeys(
                each for node in nodes for each in node.reads if each not in made and each not in ran.forward.variables
            )
            alone = network.partition(":")[0] == graph_names.REST
            given = [
                (value.name or f"{at}", value.id)
                for at, each in enumerate(reads)
                if each in names
                and (value := self.values[names[each]]).shape  # a rate, a mode
                and value.dtype != "bool"
                and (value.kind == "input" or not alone)
            ]
            if network.partition(":")[0] == graph_names.REST:
                given += self._unread(ran, names)
            trains = any(self.values[names[each.name]].requires_grad for each in outputs)
            known = [ran.numbers.get(each.name) for each in outputs]
            own_lines = nodes[0].stack or ((nodes[0].line,) if nodes[0].line else ())
            inside = 0 if network.partition(":")[0] == graph_names.REST else min(1, len(own_lines) - 1)
            index = begun
            if self.calls and self.calls[-1].index >= begun:
                index = self.serial()
            self.calls.append(
                Call(
                    self.step,
                    index,
                    network.partition(":")[0],
                    tuple(given),
                    tuple(names[each.name] for each in outputs),
                    graph_lines.line_of(own_lines[inside]) if own_lines else None,
                    grad=trains,
                    spread=tuple(each.spread if each else None for each in known),
                    varied=any((each := ran.numbers.get(name)) is None or bool(each.spread) for name in reads),
                )
            )
            self.events.append(
                Event(
                    index,
                    self.step,
                    "forward",
                    graph_lines.line_of(ran.line),
                    network.partition(":")[0],
                    (),
                    {"grad": trains, "training": True},
                )
            )

    def _unread(self, ran: Ran, names: dict[str, int]) -> Iterator[tuple[str, int]]:
        """What the training run is fed, of many entries, and nothing in the whole graph reads."""
        if not self.flow.runs.applied(ran):
            return
        for name, value in ran.feeds.items():
            tensor = ran.forward.graph.get_tensor_by_name(name)
            if value.ndim >= 2 and value.dtype.kind == "f" and not tensor.consumers() and name not in names:
                yield name, self._read(ran, name, names, [])

    def _updates(self, ran: Ran, names: dict[str, int], differentiated: list[Differentiation]) -> None:
        applied = self.flow.runs.applied(ran)
        told: set[int] = set()
        for each in applied:
            for found in differentiated:
                if id(found) not in told and self.flow.feeds(found, each):
                    told.add(id(found))
                    self._backward(ran, found, names)
            self._update(ran, each)
        for found in differentiated:
            if id(found) not in told:
                self._backward(ran, found, names)

    def _backward(self, ran: Ran, found: Differentiation, names: dict[str, int]) -> None:
        index = self.serial()
        roots = tuple(names[name] for y in found.ys if (name := ran.forward.source(y)) in names)
        reached = tuple(
            graph_names.dotted(x.op.name)
            for x, gradient in zip(found.xs, found.grads, strict=True)
            if gradient is not None and x.op.name in self.flow.parameters and ran.did(dense(gradient))
        )
        known = ran.numbers.get(found.ys[0].name) if len(found.ys) == 1 else None
        loss = known.mean if known is not None and not known.shape else None
        line = graph_lines.line_of(found.line)
        if roots:
            self.backwards.append(Backward(index, roots, line, reached))
        self.events.append(Event(index, self.step, "backward", line, "", reached, {"loss": loss}))

    def _update(self, ran: Ran, applied: Applied) -> None:
        line = graph_lines.line_of(applied.line)
        names = tuple(
            graph_names.dotted(var.op.name)
            for gradient, var in applied.pairs
            if gradient is not None and var.op.name in self.flow.parameters
        )
        subject = self.flow.optimizer_names[id(applied)]
        self.events.append(
            Event(self.serial(), self.step, "update", line, subject, names, {"closure": False, "closure_backwards": 0})
        )
        # a graph's gradients are values of one run: nothing keeps them for the next
        self.events.append(Event(self.serial(), self.step, "zero_grad", line, subject, names))


def _units_first(shape: tuple[int, ...], layer: str) -> tuple[int, ...]:
    """The shape of a layer's weight in the order that the checks read: what it gives, what it takes, its kernel."""
    if (layer == "linear" and len(shape) == 2) or (layer in ("conv2d", "conv3d") and len(shape) > 3):
        return (shape[-1], shape[-2], *shape[:-2])
    return shape


def _static(tensor: Any) -> tuple[int, ...]:
    """The shape that the graph says; -1 for what only a run tells."""
    if tensor.shape.rank is None:
        return ()
    return tuple(-1 if each is None else each for each in tensor.shape.as_list())


def serials() -> Iterator[int]:
    """Numbers in order."""
    return count()


def finished(graph: Graph, seen: list[Seen]) -> list[Any]:
    """The losses of a step whose graph is whole."""
    return graph_losses.found(graph, seen)
