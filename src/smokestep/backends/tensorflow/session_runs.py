"""Runs: every `Session.run` of a recorded step, with what it executed and the numbers it gave.

What is measured is fetched in the user's own run, beside what the user fetches, so that it is of the same batch and
the same random numbers; only values that the run computes anyway are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tensorflow.python.client import session as sessions
from tensorflow.python.eager import context
from tensorflow.python.framework import errors, tensor

from smokestep.backends.tensorflow import graph_forward, graph_lines, graph_words
from smokestep.backends.tensorflow.graph_forward import Forward
from smokestep.backends.tensorflow.graph_lines import Raw
from smokestep.backends.tensorflow.graph_marks import Applied, Differentiation, Marks, dense
from smokestep.backends.tensorflow.session_numbers import Measured, largest, measured

# What gives other values each time it runs: data, not noise.
SOURCES = frozenset("IteratorGetNext QueueDequeueV2 QueueDequeueManyV2 QueueDequeueUpToV2 ReaderReadV2".split())
LARGE = 1 << 22  # entries of a value up to which it is fetched


@dataclass(slots=True)
class Ran:
    """One run. `executed`: what of the graph it ran; `numbers`: of the values, by name; `arrived`: for each executed
    differentiation, the gradients of values by name; `fetched`: the names that the user asked for."""

    index: int
    step: int
    forward: Forward
    executed: set[Any]
    feeds: Mapping[str, Any]
    fetched: tuple[str, ...]
    line: Raw | None
    numbers: dict[str, Measured] = field(default_factory=dict)
    gradients: dict[str, Measured] = field(default_factory=dict)  # by the name of the gradient's own tensor
    rates: dict[int, float] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    unmeasured: set[Any] = field(default_factory=set)  # implied by a loss, and not computed
    applied: list[Applied] | None = None  # asked once

    def did(self, thing: Any) -> bool:
        """Whether an operation, or what makes a tensor, was executed."""
        return (thing.op if isinstance(thing, tensor.Tensor) else thing) in self.executed


class Runs:
    """What the recorded steps ran so far."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.found: list[Ran] = []
        self.step = -1  # none is being recorded
        self.forwards: dict[int, Forward] = {}
        self.plain: Any = None  # Session.run as it is
        self.inside = False
        self.failure = ""  # why a run could not be measured
        self.known: dict[int, Mapping[str, Any]] = {}  # session -> its variables' values after the last run
        self.kept: list[Any] = []  # sessions, so that their ids stay theirs

    def forward(self, graph: Any) -> Forward:
        """The forward computation of a graph, read again where it has grown."""
        known = self.forwards.get(id(graph))
        if known is None or known.size != len(graph.get_operations()):
            known = self.forwards[id(graph)] = graph_forward.read(graph, self.marks)
        return known

    def run(self, session: Any, fetches: Any, feed_dict: Any, options: Any, run_metadata: Any) -> Any:
        """One run of the user's, with what is to be measured fetched beside."""
        forward = self.forward(session.graph)
        handler = sessions._FetchHandler(session.graph, fetches, {})
        wanted = handler.fetches()
        feeds = _fed(session.graph, feed_dict)
        executed = graph_forward.needed([*wanted, *handler.targets()], feeds)
        implied = self._implied(forward, executed, feeds)
        own, inner = graph_lines.here(3)
        before = self.values(session, forward)
        # read again: reading variables for the first time may have added an operation
        ran = Ran(
            len(self.found), self.step, forward, executed, feeds, tuple(_names(wanted)), inner[0] if inner else own
        )
        ran.before = before
        if any(op.type in graph_words.WRITES or op.type in SOURCES for op in implied):
            ran.unmeasured = implied  # to compute it would do what the user's run does not
        ran.executed = executed | {op for op in implied if op.type not in graph_words.WRITES}
        more = {each.name: each for each in self._wanted(ran)}
        self.inside = True
        try:
            try:
                both = self.plain(session, {"own": fetches, "more": more}, feed_dict, options, run_metadata)
                results, values = both["own"], both["more"]
            except (errors.OpError, ValueError, TypeError) as error:
                results, values = self.plain(session, fetches, feed_dict, options, run_metadata), {}
                self.failure = str(error).partition("\n")[0]  # it was not the user's own: that run raised nothing
        finally:
            self.inside = False
        self._measure(ran, values)
        ran.after = self.known[id(session)] = self._read(session, forward)
        self.found.append(ran)
        return results

    def values(self, session: Any, forward: Forward) -> Mapping[str, Any]:
        """The values of a session's variables before a run."""
        if id(session) not in self.known:
            self.kept.append(session)
            self.known[id(session)] = self._read(session, forward)
        return self.known[id(session)]

    def _read(self, session: Any, forward: Forward) -> Mapping[str, Any]:
        kept = {name: each for name, each in forward.variables.items() if each.dtype.base_dtype.name != "string"}
        self.inside = True
        try:
            try:
                return {name: np.array(each) for name, each in self.plain(session, kept).items()}
            except errors.FailedPreconditionError:
                found = {}
                for name, each in kept.items():
                    try:
                        found[name] = np.array(self.plain(session, each))
                    except errors.FailedPreconditionError:
                        continue  # not initialised (yet)
                return found
        finally:
            self.inside = False

    def _wanted(self, ran: Ran) -> Iterator[Any]:
        """The tensors to fetch beside: what forward operations made, what gradients arrived, learning rates."""
        gradients = [each for each in self.differentiated(ran) for each in _tensors(each)]
        forward = [made for node in ran.forward.nodes for made in node.makes]
        reads = {name for node in ran.forward.nodes for name in node.reads}
        sources = [t for op in ran.executed if op.type in ("IteratorGetNext", "Placeholder") for t in op.outputs]
        sources = [each for each in sources if each.name in reads and each.name not in ran.feeds]
        applied = self.applied(ran)
        used = [dense(gradient) for each in applied for gradient, _ in each.pairs if gradient is not None]
        rates = [each.rate for each in applied if isinstance(each.rate, tensor.Tensor)]
        losses = [y for each in self.differentiated(ran) for y in each.ys]
        untaken = _untaken(ran.executed)
        trained = [dense(g) for each in self.differentiated(ran) for g in each.grads if g is not None]
        always = {each.name for each in (*trained, *used)}  # of parameters: what is missing here would be no gradient
        for each in [*forward, *gradients, *sources, *used, *rates, *losses]:
            here = ran.did(each) and each.op not in ran.unmeasured and each.op not in untaken
            if here and each.name not in ran.feeds and _fetchable(each, each.name in always):
                yield each

    def _implied(self, forward: Forward, executed: set[Any], feeds: Mapping[str, Any]) -> set[Any]:
        """What the losses of the executed gradients are computed from besides: a gradient needs no loss' value."""
        ys = [
            y
            for each in self.marks.differentiations
            if each.graph is forward.graph and any(g is not None and dense(g).op in executed for g in each.grads)
            for y in each.ys
        ]
        return graph_forward.needed(ys, feeds) - executed

    def differentiated(self, ran: Ran) -> list[Differentiation]:
        """The differentiations of which this run needed a gradient."""
        return [
            each
            for each in self.marks.differentiations
            if each.graph is ran.forward.graph and any(g is not None and ran.did(dense(g)) for g in each.grads)
        ]

    def applied(self, ran: Ran) -> list[Applied]:
        """The updates that this run made."""
        if ran.applied is None:
            ran.applied = [
                each
                for each in self.marks.applied
                if each.graph is ran.forward.graph and any(op in ran.executed for op in _operations(each))
            ]
        return ran.applied

    def _measure(self, ran: Ran, values: Mapping[str, Any]) -> None:
        closely = {name for node in ran.forward.nodes if node.name in graph_words.LOSSES for name in node.reads}
        gradients = {each.name for found in self.differentiated(ran) for each in _tensors(found)} | {
            dense(g).name for each in self.applied(ran) for g, _ in each.pairs if g is not None
        }
        for name, value in {**ran.feeds, **values}.items():
            ran.numbers[name] = measured(value, closely=name in closely)
            if name in gradients:
                ran.gradients[name] = ran.numbers[name]
        for each in self.applied(ran):
            name = getattr(each.rate, "name", None)
            if isinstance(each.rate, tensor.Tensor) and name in values:
                ran.rates[id(each)] = float(values[name])
            elif isinstance(each.rate, (int, float)):
                ran.rates[id(each)] = float(each.rate)


@contextmanager
def watched(runs: Runs) -> Iterator[None]:
    """Within the block, the runs of recorded steps are heard."""
    original = sessions.BaseSession.run
    runs.plain = original

    def run(self: Any, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        if runs.step < 0 or runs.inside:
            return original(self, fetches, feed_dict, options, run_metadata)
        with context.graph_mode():
            return runs.run(self, fetches, feed_dict, options, run_metadata)

    sessions.BaseSession.run = run
    try:
        yield
    finally:
        sessions.BaseSession.run = original


def step_of(array: Any) -> float | None:
    """The number that an array of one entry holds."""
    return largest(array) if np.size(array) == 1 else None


def _operations(each: Applied) -> list[Any]:
    """The operations that write the variables of one `apply_gradients`."""
    if each.writes:
        return each.writes
    names = {var.op.name for gradient, var in each.pairs if gradient is not None}
    found = each.writes
    for op in each.graph.get_operations():
        if each.first < op._id <= each.last and "Apply" in op.type and op.inputs and op.inputs[0].op.name in names:
            found.append(op)
    if not found:
        found.append(each.op.op if isinstance(each.op, tensor.Tensor) else each.op)
    return found


def _tensors(each: Differentiation) -> list[Any]:
    return [*each.arrived.values(), *(dense(g) for g in each.grads if g is not None)]


def _untaken(executed: set[Any]) -> set[Any]:
    """The operations that may not run, for they lie in one branch of a condition, or in a loop."""
    found: set[Any] = set()
    for op in sorted(executed, key=lambda each: each._id):
        around = op._get_control_flow_context()
        if op.type in ("Exit", "RefExit") and around is not None and around.IsWhileContext():
            around = around.outer_context
        if op.type in ("Merge", "Exit", "RefExit") and around is None:
            continue
        switched = op.type in ("Switch", "RefSwitch") or around is not None
        if switched or any(each.op in found for each in op.inputs):
            found.add(op)
    return found


def _fed(graph: Any, feed_dict: Any) -> dict[str, Any]:
    found = {}
    for key, value in (feed_dict or {}).items():
        try:
            element = graph.as_graph_element(key, allow_operation=False)
        except (TypeError, ValueError):  # a sparse tensor, a handle: not looked into
            continue
        found[element.name] = np.asarray(value) if not hasattr(value, "name") else np.zeros(0)
    return found


def _names(tensors: Any) -> Iterator[str]:
    for each in tensors:
        name = getattr(each, "name", None)
        if name:
            yield name


def _fetchable(each: Any, large: bool = False) -> bool:
    shape = each.shape
    if each.dtype.base_dtype.name in ("resource", "variant", "string") or not each.graph.is_fetchable(each):
        return False
    return large or shape.rank is None or not shape.is_fully_defined() or shape.num_elements() <= LARGE
