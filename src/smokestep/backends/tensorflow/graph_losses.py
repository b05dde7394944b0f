"""Losses of a graph: each recognised loss that a run computed, with what it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smokestep.backends.tensorflow import graph_lines, graph_words
from smokestep.backends.tensorflow.graph_forward import Forward, Node
from smokestep.backends.tensorflow.session_numbers import Measured
from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.losses import LossCall, Operand
from smokestep.evidence.origins import bare, maker_of, normalised_along, signs

LABELS = frozenset({"labels", "targets", "label"})


@dataclass(slots=True)
class Seen:
    """One executed loss: its node, its operation in the step's graph, and its run's numbers."""

    node: Node
    op: Op
    forward: Forward
    numbers: Mapping[str, Measured]
    values: Mapping[str, int]


def found(graph: Graph, seen: list[Seen]) -> list[LossCall]:
    """The losses of one step."""
    needed, entering = graph.backward_of(graph.roots), signs(graph)
    return [call for each in seen if (call := _call(graph, each, needed, entering)) is not None]


def operands(forward: Forward, node: Node) -> tuple[str, str | None] | None:
    """The names of the prediction and of the target (None if it is a constant)."""
    names = _by_argument(node)
    if names is None:
        return None
    prediction, target = names
    if prediction not in node.reads:
        return None
    return prediction, target if target in node.reads else None


def _by_argument(node: Node) -> tuple[str, str] | None:
    """Prediction and target, found by how TensorFlow computes each loss from them."""
    for op in node.parts:
        if op.type in ("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"):
            return _origin(node, op.inputs[0]), _origin(node, op.inputs[1])
    names = list(node.reads)
    if node.name == "binary_cross_entropy_with_logits":
        # max(x, 0) - x * z + log(1 + exp(-|x|)): the logits are what is compared with 0
        for op in node.parts:
            if op.type == "GreaterEqual" or op.type == "Relu":
                logits = _origin(node, op.inputs[0])
                others = [each for each in names if each != logits]
                return logits, others[0] if others else ""
    if node.name in ("mse_loss", "l1_loss", "huber_loss"):
        for op in node.parts:
            if op.type in ("SquaredDifference", "Sub") and len(op.inputs) == 2:
                return _origin(node, op.inputs[0]), _origin(node, op.inputs[1])
    if node.name == "binary_cross_entropy":  # -z * log(p + eps) - (1 - z) * log(1 - p + eps)
        for op in node.parts:
            if op.type == "Log":
                prediction = _origin(node, op.inputs[0])
                others = [each for each in names if each != prediction]
                return prediction, others[0] if others else ""
    return None


def _origin(node: Node, tensor: Any) -> str:
    """The operand of a loss that a tensor inside it was made of."""
    inside = {each.name for op in node.parts for each in op.outputs}
    for _ in range(32):
        if tensor.name not in inside:
            break
        inputs = [each for each in tensor.op.inputs if graph_words.constant(each) is None]
        if not inputs:
            break
        tensor = inputs[0]
    return str(tensor.name)


def _call(graph: Graph, seen: Seen, needed: frozenset[int], entering: Mapping[int, int | None]) -> LossCall | None:
    pair = operands(seen.forward, seen.node)
    if pair is None or pair[0] not in seen.values:
        return None
    prediction = _operand(graph, seen, pair[0])
    target = _operand(graph, seen, pair[1]) if pair[1] and pair[1] in seen.values else None
    classed = seen.node.name == "cross_entropy" and prediction.shape
    made = seen.node.makes[0].name
    result = seen.numbers.get(made)
    mean = seen.node.mean or seen.node.function in graph_words.MEANS
    value = graph.values.get(prediction.value)
    weights = [each for each in seen.node.reads if each not in pair]
    return LossCall(
        step=graph.step,
        name=seen.node.name,
        prediction=prediction,
        target=target,
        result=seen.values.get(made, -1),
        loss=result.mean if result is not None and not result.shape else None,
        line=graph_lines.line_of(seen.node.line),
        caller=seen.op.caller,
        module=seen.op.module,
        reduction="mean" if mean else "none",
        classes=prediction.shape[-1] if classed else None,
        class_dim=len(prediction.shape) - 1 if classed else None,
        ignore_index=None,
        ignored=None,
        weighted=bool(weights),
        reaches_root=seen.values.get(made, -1) in needed,
        gradient=value.gradient if value is not None else None,
        sign=entering.get(seen.values.get(made, -1)),
    )


def _operand(graph: Graph, seen: Seen, name: str) -> Operand:
    value = seen.values[name]
    known = seen.numbers.get(name) or Measured(graph.values[value].shape, graph.values[value].dtype)
    maker = maker_of(graph, value)
    dim, size = normalised_along(graph, maker) if maker else (None, None)
    return Operand(
        value=value,
        shape=known.shape,
        dtype=known.dtype,
        low=known.low,
        high=known.high,
        requires_grad=graph.values[value].requires_grad,
        rows=known.rows,
        exp_rows=known.exp_rows,
        integral=known.integral,
        distinct=known.distinct,
        maker=bare(maker.name) if maker else "",
        maker_line=maker.line if maker else None,
        maker_dim=dim,
        maker_size=size,
    )
