"""Forward: the computation that a graph describes, without its gradients and updates, at the level users write.

Read once a graph (and again if it has grown); which part of it a run needs is asked of `needed`.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smokestep.backends.tensorflow import graph_lines, graph_words
from smokestep.backends.tensorflow.graph_lines import Raw
from smokestep.backends.tensorflow.graph_marks import Marks

BIASED = frozenset({"MatMul", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput"})


@dataclass(slots=True)
class Node:
    """One operation as the user wrote it: `reads` and `makes` are names of tensors, or of variables.

    `parts`: the operations of the graph that it stands for; `function`: the file of the library function, if it is one;
    `differentiable`: gradient can pass.
    """

    name: str
    parts: list[Any]
    reads: tuple[str, ...]
    makes: tuple[Any, ...]
    args: dict[str, Any]
    line: Raw | None
    stack: tuple[Raw, ...]
    function: str = ""
    differentiable: bool = True
    aside: list[Any] = field(default_factory=list)  # made by the same call, and no part of its result
    mean: bool = False  # of a loss: the mean over all samples is part of it

    @property
    def scope(self) -> str:
        """The name scope it was made in."""
        return str(self.parts[-1].name.rpartition("/")[0])


@dataclass(slots=True)
class Forward:
    """The forward computation of one graph. `size`: with how many operations it was read."""

    graph: Any
    size: int
    nodes: list[Node]
    variables: Mapping[str, Any]  # by the name of their operation
    aliases: dict[str, str]  # tensor name -> the name of the variable that it is a read of
    hidden: frozenset[int] = frozenset()  # ids of the operations of gradients and updates
    trained: dict[str, bool] = field(default_factory=dict)  # value -> gradient can reach a trainable variable from it

    def source(self, tensor: Any) -> str:
        """The value that a tensor is: a variable's name where it only reads one."""
        return self.aliases.get(tensor.name, str(tensor.name))


def needed(targets: Iterable[Any], fed: Iterable[str]) -> set[Any]:
    """Every operation that a run of these operations or tensors executes, as far as the graph says."""
    closed, found, ahead = frozenset(fed), set[Any](), []

    def want(tensor: Any) -> None:
        if tensor.name not in closed and tensor.op not in found:
            found.add(tensor.op)
            ahead.append(tensor.op)

    for each in targets:
        if hasattr(each, "op"):
            want(each)
        elif each not in found:
            found.add(each)
            ahead.append(each)
    while ahead:
        op = ahead.pop()
        for each in op.inputs:
            want(each)
        for each in op.control_inputs:
            if each not in found:
                found.add(each)
                ahead.append(each)
    return found


def read(graph: Any, marks: Marks) -> Forward:
    """Read a graph."""
    from tensorflow.python.framework import ops

    every = graph.get_operations()
    variables: dict[str, Any] = {}
    for name in (ops.GraphKeys.GLOBAL_VARIABLES, ops.GraphKeys.TRAINABLE_VARIABLES, ops.GraphKeys.LOCAL_VARIABLES):
        for each in graph.get_collection(name):
            variables.setdefault(each.op.name, each)
    gradients, updates = marks.ranges(graph)
    again = _differentiated_again(graph, marks)

    def outside(op: Any) -> bool:
        return any(first < op._id <= last for first, last in updates) or (
            op not in again and any(first < op._id <= last for first, last in gradients)
        )

    hidden = frozenset(op._id for op in every if outside(op))
    forward = Forward(graph, len(every), [], variables, _aliases(every, variables), hidden)
    initial = _initial(variables)
    groups = _grouped([op for op in every if op._id not in hidden and op not in initial], gradients)
    made_by = {op: position for position, (_, parts) in enumerate(groups) for op in parts}
    consumers: defaultdict[str, set[Any]] = defaultdict(set)
    for op in every:
        if op._id not in hidden and op.type not in graph_words.WRITES:
            for each in op.inputs:
                consumers[each.name].add(op)
    nodes = [
        node
        for position, (how, parts) in enumerate(groups)
        if (node := _node(forward, how, parts, position, made_by, consumers)) is not None
    ]
    forward.nodes = _with_biases(forward, nodes)
    _trained(forward)
    return forward


def _aliases(every: list[Any], variables: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for op in every:
        if op.type in graph_words.VARIABLES and op.name in variables:
            found.update((each.name, op.name) for each in op.outputs)
        elif op.inputs and op.inputs[0].name in found:
            reads = op.type == "ReadVariableOp" or (
                op.type in ("Identity", "Enter", "RefEnter", "Switch", "RefSwitch")
                and (op.inputs[0].op.type in graph_words.VARIABLES)
            )
            if reads:
                found.update((each.name, found[op.inputs[0].name]) for each in op.outputs)
    return found


def _initial(variables: Mapping[str, Any]) -> set[Any]:
    """The operations that make the first values of variables."""
    values = [each.initial_value for each in variables.values() if getattr(each, "initial_value", None) is not None]
    return {op for op in needed(values, ()) if op.type not in ("Placeholder", "PlaceholderWithDefault")}


def _differentiated_again(graph: Any, marks: Marks) -> set[Any]:
    """The operations of gradients that lie on the way to something else that is differentiated (a penalty)."""
    found: set[Any] = set()
    for each in marks.differentiations:
        if each.graph is graph:
            later = [other for other in marks.differentiations if other.graph is graph and other.first >= each.last]
            for other in later:
                found |= {op for op in needed(other.ys, ()) if each.first < op._id <= each.last}
    return found


How = tuple[str, str, int]  # name, file of the function, which gradient


def _grouped(every: list[Any], gradients: list[tuple[int, int]]) -> list[tuple[How | None, list[Any]]]:
    """The operations, those of one call of a known function together, in order."""
    found: list[tuple[How | None, list[Any]]] = []
    last: tuple[Any, ...] | None = None
    for op in every:
        number = next((at for at, (first, end) in enumerate(gradients) if first < op._id <= end), -1)
        key, how = (("grad", number), ("grad", "", number)) if number >= 0 else _function(op)
        if key is not None and key == last:
            found[-1][1].append(op)
        else:
            found.append((how, [op]))
        last = key
    return found


def _function(op: Any) -> tuple[tuple[Any, ...] | None, How | None]:
    before: list[Raw] = []
    for frame in op.traceback:
        file = os.path.basename(frame.filename)
        known = graph_words.FUNCTIONS.get((file, frame.name))
        if known is None and frame.name == "call" and "normalization" in file:
            known = ("batch_norm", "")
        if known is not None and graph_lines.kind_of_file(frame.filename) == graph_lines.SKIP:
            name, scope = known
            within = re.search(rf"(?:^|/)({re.escape(scope)}(?:_\d+)?)(?:/|$)", op.name) if scope else None
            inside = op.name[: within.end(1)] if within else ""
            return (tuple(before), frame.name, inside), (name, file, -1)
        before.append((frame.filename, frame.lineno))
    return None, None


def _node(
    forward: Forward,
    how: How | None,
    parts: list[Any],
    position: int,
    made_by: Mapping[Any, int],
    consumers: Mapping[str, set[Any]],
) -> Node | None:
    computing = [op for op in parts if op.type not in graph_words.NO_COMPUTATION and op.outputs]
    computing = [
        op for op in computing if not op.type.endswith("Summary") and op.outputs[0].name not in forward.aliases
    ]
    if not computing:
        return None
    if how is None:
        op = computing[0]
        made = tuple(op.outputs[:1] if op.type.startswith("FusedBatchNorm") else op.outputs)
    else:
        used = [
            each
            for op in computing
            for each in op.outputs
            if any(made_by.get(reader, position) != position for reader in consumers.get(each.name, ()))
        ]
        made = tuple(used) or tuple(computing[-1].outputs[:1])
    core = _core(made, computing)
    line, stack = graph_lines.of_op(core[-1])
    reads = _reads(forward, core)
    if (how[0] if how else graph_words.name_of(core[0].type)) == "embedding":
        reads = tuple(sorted(reads, key=lambda each: each in forward.variables))  # the indices come first
    kinds = {op.type for op in core}
    return Node(
        name=how[0] if how else graph_words.name_of(core[0].type),
        parts=core,
        reads=reads,
        makes=made,
        args=graph_words.arguments(core[0]) if how is None else _group_arguments(how[0], core),
        line=line,
        stack=stack,
        function=how[1] if how else "",
        differentiable=not kinds & graph_words.CUTS if how is None else True,
        aside=[op for op in parts if op not in core],
    )


def _core(made: tuple[Any, ...], computing: list[Any]) -> list[Any]:
    """Of the operations of one call, those that its result is computed from, in order."""
    inside, found = set(computing), set[Any]()
    ahead = [each.op for each in made]
    while ahead:
        op = ahead.pop()
        if op in inside and op not in found:
            found.add(op)
            ahead += [each.op for each in op.inputs]
    return [op for op in computing if op in found]


def _reads(forward: Forward, core: list[Any]) -> tuple[str, ...]:
    own = {each.name for op in core for each in op.outputs}
    found: dict[str, None] = {}
    for op in core:
        for position, each in enumerate(op.inputs):
            shape = position >= graph_words.SHAPED.get(op.type, 99)
            if each.name in own or shape or graph_words.constant(each) is not None:
                continue
            if each.op.type == "Const" and each.dtype.base_dtype.name == "string":
                continue
            found[forward.source(each)] = None
    return tuple(found)


def _group_arguments(name: str, core: list[Any]) -> dict[str, Any]:
    if name in ("softmax", "log_softmax"):
        # another axis than the last is brought to the end and back
        turned = next((op for op in core if op.type == "Transpose"), None)
        if turned is None:
            return {"dim": -1}
        order = graph_words.constant(turned.inputs[1])
        rank = len(order) if isinstance(order, list) else 0
        return {"dim": order.index(rank - 1)} if rank else {}
    if name == "clamp":
        bounds = [graph_words.constant(each) for op in core for each in op.inputs]
        return {str(at + 1): each for at, each in enumerate(b for b in bounds if isinstance(b, (int, float)))}
    return {}


def _with_biases(forward: Forward, nodes: list[Node]) -> list[Node]:
    """A layer and the bias added right after it are one operation; a product with a weight is a linear layer."""
    readers: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for each in node.reads:
            readers[each].append(node)
    gone: set[int] = set()
    for node in nodes:
        if node.parts[0].type not in BIASED or node.function or len(node.parts) > 1:
            continue
        weights = [each for each in node.reads if each in forward.variables]
        if node.name == "matmul" and len(weights) == 1 and not node.parts[0].get_attr("transpose_a"):
            node.name = "linear" if node.reads[0] not in forward.variables else "matmul"
        after = readers.get(node.makes[0].name, [])
        if len(after) != 1 or not weights or node.name == "matmul":
            continue
        bias = after[0]
        vectors = [each for each in bias.reads if each in forward.variables]
        if (
            bias.parts[0].type in ("BiasAdd", "Add", "AddV2")
            and len(bias.parts) == 1
            and len(bias.reads) == 2
            and len(vectors) == 1
            and forward.variables[vectors[0]].shape.rank == 1
        ):
            node.parts = [*node.parts, *bias.parts]
            node.reads = (*node.reads, vectors[0])
            node.makes = bias.makes
            gone.add(id(bias))
    return _with_means(forward, [node for node in nodes if id(node) not in gone])


def _with_means(forward: Forward, nodes: list[Node]) -> list[Node]:
    """A loss of every sample and the mean over all of them are one loss."""
    readers: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for each in node.reads:
            readers[each].append(node)
    gone: set[int] = set()
    for node in nodes:
        if node.name not in graph_words.LOSSES or node.function in graph_words.MEANS or len(node.makes) != 1:
            continue
        after = readers.get(node.makes[0].name, [])
        if len(after) == 1 and after[0].parts[0].type == "Mean" and after[0].makes[0].shape.rank == 0:
            node.parts = [*node.parts, *after[0].parts]
            node.makes, node.mean = after[0].makes, True
            gone.add(id(after[0]))
    return [node for node in nodes if id(node) not in gone]


def _trained(forward: Forward) -> None:
    trainable = {each.op.name for each in forward.graph.get_collection("trainable_variables")}
    found = forward.trained
    for name in forward.variables:
        found[name] = name in trainable
    for node in forward.nodes:
        reached = node.differentiable and any(found.get(each, False) for each in node.reads)
        for each in node.makes:
            found[each.name] = reached and each.dtype.base_dtype.name in graph_words.FLOATS


def scopes(forward: Forward) -> Iterator[str]:
    """The scopes that hold variables, each once."""
    yield from dict.fromkeys(name.rpartition("/")[0] for name in forward.variables if "/" in name)
