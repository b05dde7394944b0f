"""Marks: what was differentiated and what is applied, heard while the user's code builds a graph.

A gradient is known by the tensors that TensorFlow itself made for it, so nothing is guessed from names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tensorflow.python.framework import func_graph, indexed_slices, ops
from tensorflow.python.ops import gradients_util, variables
from tensorflow.python.training import optimizer as optimizers

from smokestep.backends.tensorflow import graph_lines
from smokestep.backends.tensorflow.graph_lines import Raw

RATES = ("_learning_rate_tensor", "_lr_t", "_learning_rate", "_lr")


@dataclass(slots=True)
class Differentiation:
    """One call of `tf.gradients`: what of, with respect to what, with which result.

    `arrived` is d y / d value for every value between, by name; its own operations have ids in (`first`, `last`].
    """

    graph: Any
    ys: list[Any]
    xs: list[Any]
    grads: list[Any]
    arrived: dict[str, Any]
    first: int
    last: int
    line: Raw | None
    stack: tuple[Raw, ...]

    def of(self, name: str) -> Any:
        """The gradient of a variable, by the name of its operation; None if there is none."""
        return next((g for x, g in zip(self.xs, self.grads, strict=True) if x.op.name == name), None)


@dataclass(slots=True)
class Applied:
    """One call of `apply_gradients`. `implicit`: no list of variables was chosen, so it holds every trainable one."""

    graph: Any
    optimizer: Any
    pairs: list[tuple[Any, Any]]
    op: Any
    implicit: bool
    first: int
    last: int
    line: Raw | None
    rate: Any = None
    born: Raw | None = None
    stack: tuple[Raw, ...] = ()
    writes: list[Any] = field(default_factory=list)  # the operations that write the variables, once asked for


@dataclass(slots=True)
class Marks:
    """What was heard so far."""

    differentiations: list[Differentiation] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    born: dict[int, Raw | None] = field(default_factory=dict)  # optimizer -> where it was constructed
    every: set[int] = field(default_factory=set)  # optimizers that were last asked for all trainable variables
    optimizers: list[Any] = field(default_factory=list)
    flowing: list[dict[str, Any]] = field(default_factory=list)
    applying: int = 0

    def ranges(self, graph: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The ids of operations that are gradients, and of those that apply them."""
        return (
            [(each.first, each.last) for each in self.differentiations if each.graph is graph],
            [(each.first, each.last) for each in self.applied if each.graph is graph],
        )


def last_id(graph: Any) -> int:
    """The id of the newest operation of a graph."""
    return int(graph.version) + 1  # ids begin at 2


def dense(gradient: Any) -> Any:
    """The tensor with the entries of a gradient, which may be sparse."""
    return gradient.values if isinstance(gradient, indexed_slices.IndexedSlices) else gradient


@contextmanager
def hearing(marks: Marks) -> Iterator[None]:
    """Hear, within the block, every differentiation and every application of gradients to a graph."""
    with ExitStack() as stack:

        def replace(owner: Any, name: str, made: Any) -> None:
            original = getattr(owner, name)
            setattr(owner, name, made(original))
            stack.callback(setattr, owner, name, original)

        replace(gradients_util, "_GradientsHelper", lambda original: _differentiating(marks, original))
        replace(gradients_util, "_AggregatedGrads", lambda original: _aggregating(marks, original))
        replace(optimizers.Optimizer, "compute_gradients", lambda original: _computing(marks, original))
        replace(optimizers.Optimizer, "apply_gradients", lambda original: _applying(marks, original))
        replace(optimizers.Optimizer, "__init__", lambda original: _constructing(marks, original))
        yield


def _differentiating(marks: Marks, original: Any) -> Any:
    def helper(ys: Any, xs: Any, *args: Any, **kwargs: Any) -> Any:
        graph = kwargs.get("src_graph") or ops.get_default_graph()
        if marks.flowing or isinstance(graph, func_graph.FuncGraph):  # of a branch or the body of a loop
            return original(ys, xs, *args, **kwargs)
        line, own = graph_lines.here(2)
        first = last_id(graph)
        marks.flowing.append({})
        try:
            grads = original(ys, xs, *args, **kwargs)
        finally:
            arrived = marks.flowing.pop()
        listed = [list(each) if isinstance(each, (list, tuple)) else [each] for each in (ys, xs)]
        tensors = [[_tensor(each) for each in some] for some in listed]
        marks.differentiations.append(
            Differentiation(
                graph, tensors[0], tensors[1], list(grads), arrived, first, last_id(graph), own[0] if own else line, own
            )
        )
        return grads

    return helper


def _tensor(value: Any) -> Any:
    """The tensor behind a variable: its handle, or its reference."""
    if isinstance(value, variables.Variable):
        handle = getattr(value, "_handle", None)
        return handle if handle is not None else value._ref()
    return dense(value)


def _aggregating(marks: Marks, original: Any) -> Any:
    def aggregated(grads: Any, op: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(grads, op, *args, **kwargs)
        if marks.flowing:
            for made, gradient in zip(op.outputs, found, strict=False):
                if gradient is not None and not isinstance(gradient, list):
                    marks.flowing[-1][made.name] = dense(gradient)
        return found

    return aggregated


def _computing(marks: Marks, original: Any) -> Any:
    def compute(self: Any, loss: Any, var_list: Any = None, *args: Any, **kwargs: Any) -> Any:
        (marks.every.add if var_list is None else marks.every.discard)(id(self))
        return original(self, loss, var_list, *args, **kwargs)

    return compute


def _applying(marks: Marks, original: Any) -> Any:
    def apply(self: Any, grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
        graph = ops.get_default_graph()
        if marks.applying or isinstance(graph, func_graph.FuncGraph):
            return original(self, grads_and_vars, *args, **kwargs)
        pairs = list(grads_and_vars)
        line, own = graph_lines.here(2)
        first = last_id(graph)
        marks.applying += 1
        try:
            op = original(self, pairs, *args, **kwargs)
        finally:
            marks.applying -= 1
        everything = {each.op.name for each in variables.trainable_variables()}
        implicit = id(self) in marks.every or everything == {each.op.name for _, each in pairs}
        marks.applied.append(
            Applied(
                graph,
                self,
                pairs,
                op,
                implicit,
                first,
                last_id(graph),
                own[0] if own else line,
                next((found for name in RATES if (found := getattr(self, name, None)) is not None), None),
                marks.born.get(id(self)),
                own,
            )
        )
        return op

    return apply


def _constructing(marks: Marks, original: Any) -> Any:
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        line, own = graph_lines.here(2)
        marks.born[id(self)] = own[0] if own else line
        marks.optimizers.append(self)  # kept, so that its id stays its own
        original(self, *args, **kwargs)

    return construct
