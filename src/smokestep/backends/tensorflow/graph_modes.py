"""Modes of a graph: whether each normalization and dropout that a run executed was in training mode.

The mode is what the executed operations say: a constant when the graph was built, or a condition's value in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smokestep.backends.tensorflow import graph_lines, graph_words
from smokestep.backends.tensorflow.graph_forward import Forward, Node
from smokestep.backends.tensorflow.graph_names import dotted
from smokestep.backends.tensorflow.session_runs import Ran
from smokestep.evidence.modes import Layer, Modes, Run

STATISTICS = ("moving_mean", "moving_variance")
BATCH = frozenset({"Mean", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


@dataclass(slots=True)
class _Norm:
    """One normalization: its variables by their last names, and in which steps its statistics moved."""

    path: str
    node: Node
    kind: str
    variables: dict[str, str]
    moved: dict[int, bool] = field(default_factory=dict)
    seen: int | None = None
    by_hand: bool = False  # `tf.nn.batch_normalization`, given a mean and a variance


def modes(
    runs: list[Ran],
    trainable: frozenset[str],
    count: int,
    model_of: Callable[[str], str],
    reached: Callable[[Ran, Node], bool],
) -> Modes:
    """The evidence of all recorded runs."""
    norms: dict[str, _Norm] = {}
    found: list[Run] = []
    dropouts: dict[str, Layer] = {}
    for ran in runs:
        for node in ran.forward.nodes:
            if node.name not in ("batch_norm", "layer_norm", "dropout") or not ran.did(node.makes[0]):
                continue
            line = graph_lines.line_of(node.line)
            if node.name == "dropout":
                path = dotted(node.makes[0].op.name.rpartition("/")[0] or node.makes[0].op.name)
                drop = _probability(node)
                training = _taken(node, ran, lambda op: op.type.startswith(("RandomUniform", "StatelessRandom")))
                if drop is None or training is None:
                    continue
                dropouts[path] = Layer(path, "dropout", "dropout", probability=drop, model=model_of(path), built=line)
                found.append(Run(ran.step, path, training, True, 1, reached(ran, node), None, line))
                continue
            norm = _norm(ran.forward, node)
            if norm is None:
                continue
            norm = norms.setdefault(norm.path, norm)
            statistics = [norm.variables[name] for name in STATISTICS if name in norm.variables]
            if norm.seen is None and statistics:
                norm.seen = _initial(norm, ran.before)
            if norm.by_hand:
                training: bool | None = not set(node.reads) & set(statistics)
            else:
                training = _taken(node, ran, _of_batch) if norm.kind == "batch_norm" else True
            if training is None:
                continue
            found.append(Run(ran.step, norm.path, training, True, 1, reached(ran, node), _samples(node, ran), line))
    for norm in norms.values():
        for ran in runs:
            changed = any(
                not np.array_equal(ran.before[name], ran.after[name])
                for key in STATISTICS
                if (name := norm.variables.get(key)) in ran.before and name in ran.after
            )
            norm.moved[ran.step] = norm.moved.get(ran.step, False) or changed
    layers = [_layer(norm, trainable, count, model_of) for norm in norms.values()]
    return Modes((*layers, *dropouts.values()), tuple(found))


def _layer(norm: _Norm, trainable: frozenset[str], count: int, model_of: Callable[[str], str]) -> Layer:
    affine = [name for key, name in norm.variables.items() if key not in STATISTICS]
    statistics = [norm.variables[key] for key in STATISTICS if key in norm.variables]
    return Layer(
        path=norm.path,
        kind="batch_norm" if norm.kind == "batch_norm" else "layer_norm",
        class_name=norm.kind,
        statistics=bool(statistics),
        moved=tuple(norm.moved.get(step, False) for step in range(count)) if statistics else (),
        seen=norm.seen,
        momentum=_momentum(norm.node),
        affine=tuple(map(dotted, affine)),
        trainable=tuple(dotted(name) for name in affine if name in trainable),
        model=model_of(affine[0] if affine else norm.path),
        built=graph_lines.line_of(norm.node.line),
        statistics_names=tuple(map(dotted, statistics)),
    )


def _norm(forward: Forward, node: Node) -> _Norm | None:
    """The variables that the call of a normalization reads or writes; None if it is written by hand."""
    own: dict[str, str] = {}
    for op in (*node.parts, *node.aside):
        for each in op.inputs:
            name = forward.aliases.get(each.name)
            if name is not None:
                own.setdefault(name.rpartition("/")[2], name)
    if node.function == "nn_impl.py":
        return _by_hand(forward, node, own)
    own = {key: name for key, name in own.items() if key in (*STATISTICS, "gamma", "beta")}
    if not own:
        return None
    return _Norm(dotted(next(iter(own.values())).rpartition("/")[0]), node, node.name, own)


def _by_hand(forward: Forward, node: Node, own: Mapping[str, str]) -> _Norm | None:
    """A normalization given its mean and variance: its statistics are the two untrainable variables beside its own."""
    read = [name for name in own.values() if forward.trained.get(name)]
    if not read:
        return None
    scope, shape = read[0].rpartition("/")[0], forward.variables[read[0]].shape
    beside = [
        name
        for name, each in forward.variables.items()
        if not forward.trained.get(name) and name.rpartition("/")[0] == scope and each.shape == shape
    ]
    if not scope or len(beside) != 2:
        return None
    variables = dict(zip(STATISTICS, sorted(beside, key=lambda name: "var" in name.rpartition("/")[2]), strict=True))
    variables.update((name.rpartition("/")[2], name) for name in read)
    return _Norm(dotted(scope), node, node.name, variables, by_hand=True)


def _initial(norm: _Norm, values: Mapping[str, Any]) -> int:
    """0 if the statistics are still mean 0 and variance 1, else 1: some batch was counted."""
    mean, variance = (values.get(norm.variables.get(key, "")) for key in STATISTICS)
    fresh = (mean is None or not np.any(mean)) and (variance is None or bool(np.all(variance == 1)))
    return 0 if fresh else 1


def _of_batch(op: Any) -> bool:
    """Whether an operation takes the mean of a batch."""
    if op.type.startswith("FusedBatchNorm") and not op.type.endswith("Grad"):
        return bool(op.get_attr("is_training"))
    return op.type == "Mean"


def _taken(node: Node, ran: Ran, tells: Callable[[Any], bool]) -> bool | None:
    """Whether an operation that tells training mode was executed; None if it lies in a branch that was not seen."""
    told = [op for op in node.parts if tells(op) and op in ran.executed]
    if not told:
        branches = [op for op in node.parts if op.type in ("If", "StatelessIf") and op in ran.executed]
        return _value(branches[0].inputs[0], ran) if branches else False
    answers = []
    for op in told:
        around = op._get_control_flow_context()
        if around is None:
            return True
        predicate = getattr(around, "pred", None)
        value = _value(predicate, ran) if predicate is not None else None
        if value is None:
            return None
        answers.append(value == bool(getattr(around, "branch", 1)))
    return any(answers)


def _value(predicate: Any, ran: Ran) -> bool | None:
    """The truth value of a condition in a run."""
    known = graph_words.constant(predicate)
    if known is not None:
        return bool(known)
    for _ in range(4):
        if predicate.name in ran.feeds:
            return bool(np.all(ran.feeds[predicate.name]))
        if predicate.op.type == "PlaceholderWithDefault":
            return bool(graph_words.constant(predicate.op.inputs[0]))
        if predicate.op.type not in ("Identity", "LogicalNot") or not predicate.op.inputs:
            return None
        if predicate.op.type == "LogicalNot":
            inner = _value(predicate.op.inputs[0], ran)
            return None if inner is None else not inner
        predicate = predicate.op.inputs[0]
    return None


def _momentum(node: Node) -> float | None:
    """The weight of a new batch in the running statistics, where the moving average's decay is a constant."""
    for op in (*node.aside, *node.parts):
        if op.type == "Const" and op.name.endswith("/decay"):
            value = graph_words.constant(op.outputs[0])
            if isinstance(value, float):
                return round(value, 6)
    return None


def _probability(node: Node) -> float | None:
    """The probability with which a dropout drops: random numbers at or above it stay."""
    for op in node.parts:
        if op.type in ("GreaterEqual", "Greater"):
            value = graph_words.constant(op.inputs[1])
            return float(value) if isinstance(value, (int, float)) else None
    return None


def _samples(node: Node, ran: Ran) -> int | None:
    known = ran.numbers.get(node.reads[0]) if node.reads else None
    if known is None or node.name != "batch_norm" or len(known.shape) < 2:
        return None
    return int(np.prod(known.shape[:-1]))
