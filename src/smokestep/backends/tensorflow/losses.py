"""Losses: the calls of known loss functions, what each was given, measured at the call, and told after the step.

A cross-entropy of probabilities is told as `nll_loss`, whose prediction is their logarithm; one of scores as
`cross_entropy`. Where Keras itself goes back to the scores behind a softmax, the loss is one of probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from smokestep.backends.tensorflow import composites, frames, functional_norms
from smokestep.backends.tensorflow.trace import RawOp, array_of, dtype_of
from smokestep.evidence.flow import Graph
from smokestep.evidence.losses import LossCall, Operand
from smokestep.evidence.origins import bare, maker_of, normalised_along, signs

if TYPE_CHECKING:
    from smokestep.backends.tensorflow.recorder import Recorder

COUNTED = 65_536  # entries up to which distinct target values are counted
EPSILON = 1e-7  # by which Keras keeps probabilities from 0 and 1
PREDICTIONS = ("y_pred", "output", "logits", "x2")
TARGETS = ("y_true", "target", "labels", "x1")
CROSS = frozenset({"categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"})


@dataclass
class Compared:
    """One call of a loss as it was seen."""

    op: RawOp
    name: str
    prediction: Any
    target: Any
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    requires_grad: bool = False
    reduction: str = "none"
    classes: int | None = None
    class_dim: int | None = None
    weighted: bool = False
    smoothing: float = 0.0
    step: int = 0
    loss: float | None = None
    scores: int | None = None  # the value whose gradient counts, where it is not the prediction


class LossLog:
    """The calls of loss functions in a recording."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.calls: list[Compared] = []
        self._open: tuple[RawOp, Any] | None = None
        self._pending: Compared | None = None

    def entered(self, op: RawOp, within: Any) -> None:
        """A known function begins; if it is a loss, its arguments are measured."""
        self._pending = None
        names = [composites.name_of(frame.f_code) for frame in within]
        inner = next((frame for frame in within if composites.name_of(frame.f_code) in _LOSS_NAMES), None)
        if names[0] == "loss":
            self._object(op, within[0])
        elif inner is within[0]:
            self._function(op, inner.f_code.co_name, names[0], dict(inner.f_locals), "none")
        elif names[0] == "dropout":
            layer = within[0].f_locals.get("self")
            rate = getattr(layer, "rate", None) if layer is not None else within[0].f_locals.get("rate")
            op.args["p"] = float(rate) if isinstance(rate, (int, float)) else 0.5
            if layer is None:
                self.recorder.running.dropped(op)
        elif names[0] == "batch_norm" and "self" not in within[0].f_locals:
            functional_norms.heard(self.recorder, op, dict(within[0].f_locals))
        elif names[0] in ("softmax", "log_softmax"):
            axis = within[0].f_locals.get("axis", -1)
            op.args["dim"] = axis if isinstance(axis, int) else -1

    def _object(self, op: RawOp, frame: Any) -> None:
        """A loss object of Keras is called: the function that it wraps, and how it reduces."""
        local = frame.f_locals
        loss = local.get("self")
        function = getattr(loss, "fn", None)
        kind = getattr(getattr(function, "__wrapped__", function), "__name__", "")
        self._lines(op, frame, loss)
        if kind not in composites.LOSSES:
            op.name = type(loss).__name__.lower()
            return
        arguments = {**getattr(loss, "_fn_kwargs", {}), "y_true": local.get("y_true"), "y_pred": local.get("y_pred")}
        reduction = {"sum": "sum", "none": "none", None: "none"}.get(getattr(loss, "reduction", None), "mean")
        self._function(op, kind, composites.LOSSES[kind], arguments, reduction)
        if self._pending is not None:
            self._pending.weighted = local.get("sample_weight") is not None

    def _lines(self, op: RawOp, frame: Any, loss: Any) -> None:
        """A loss that `compile` was given is told on the line that made it, or on that of `compile`."""
        back = frame.f_back
        while back is not None and frames.kind_of_file(back.f_code.co_filename) == frames.SKIP:
            if back.f_code.co_filename.endswith("compile_utils.py"):
                chosen = self.recorder.built.get(id(loss), (None, None))[1] or self.recorder.compiling(back)
                if chosen is not None:
                    op.line, op.stack = chosen, (chosen, *op.stack)
                return
            back = back.f_back

    def _function(self, op: RawOp, function: str, name: str, local: Mapping[str, Any], reduction: str) -> None:
        prediction = next((local[key] for key in PREDICTIONS if local.get(key) is not None), None)
        target = next((local[key] for key in TARGETS if local.get(key) is not None), None)
        if prediction is None or isinstance(prediction, (list, tuple, dict)):
            op.name = {"tf_cross_entropy": "cross_entropy", "tf_sparse_cross_entropy": "cross_entropy"}.get(name, name)
            return
        call = Compared(op, name, prediction, target, reduction=reduction, step=self.recorder.step)
        axis = local.get("axis", -1)
        axis = axis if isinstance(axis, int) else -1
        call.smoothing = float(local.get("label_smoothing") or 0.0)
        call.weighted = local.get("pos_weight") is not None
        logits = bool(local.get("from_logits", False))
        behind = getattr(prediction, "_keras_logits", None)
        if name.startswith("tf_"):
            logits, behind = True, None
        if function in CROSS or name.startswith("tf_"):
            self._cross(call, "binary" in function or "sigmoid" in name, logits, behind, axis)
        self._measure(call)
        op.name = call.name
        self._pending = call

    def _cross(self, call: Compared, binary: bool, logits: bool, behind: Any, axis: int) -> None:
        """Whether scores or probabilities are compared."""
        shape = tuple(call.prediction.shape)
        if not binary and shape:
            call.class_dim, call.classes = axis % len(shape), int(shape[axis])
        if behind is not None and not binary:
            call.scores = getattr(self.recorder.tracer.known.get(behind._id), "id", None)
            call.name = "nll_loss"
        elif binary:
            call.name = "binary_cross_entropy_with_logits" if logits and behind is None else "binary_cross_entropy"
            if behind is not None:
                call.scores = getattr(self.recorder.tracer.known.get(behind._id), "id", None)
        else:
            call.name = "cross_entropy" if logits else "nll_loss"

    def _measure(self, call: Compared) -> None:
        tracer = self.recorder.tracer
        prediction, target = array_of(call.prediction), array_of(call.target)
        call.dtypes = {"prediction": dtype_of(call.prediction), "target": dtype_of(call.target)}
        if prediction is not None:
            call.shapes["prediction"] = prediction.shape
            call.statistics["prediction"] = _statistics(prediction, call.class_dim, call.name == "nll_loss")
            _probabilities(call, prediction)
        if target is not None:
            call.shapes["target"] = _fitted(target.shape, call.shapes.get("prediction", ()))
            along = call.class_dim if target.ndim == len(call.shapes.get("prediction", ())) else None
            call.statistics["target"] = _statistics(target, along, False, counted=True)
        for key, tensor in (("prediction", call.prediction), ("target", call.target)):
            if hasattr(tensor, "_id"):
                seen = tracer.value_of(tensor)
                call.values[key] = seen.id
                if key == "prediction":
                    call.requires_grad = seen.rg

    def left(self, op: RawOp) -> None:
        """The function is over: read its result."""
        call, self._pending = self._pending, None
        if call is None or call.op is not op:
            return
        reads = [call.values[key] for key in ("prediction", "target") if key in call.values]
        op.reads = list(dict.fromkeys((*reads, *op.reads)))
        result = self.recorder.tracer.values[op.makes[-1]] if op.makes else None
        if result is not None and result.peak is not None and not result.shape:
            call.loss = self.recorder.tracer.scalar(result)
        self.calls.append(call)


_LOSS_NAMES = frozenset({*composites.LOSSES.values(), "tf_cross_entropy", "tf_sparse_cross_entropy",
                         "tf_sigmoid_cross_entropy"})  # fmt: skip


def _statistics(array: Any, along: int | None, logs: bool, counted: bool = False) -> dict[str, float]:
    if not array.size:
        return {}
    found = {"low": float(array.min()), "high": float(array.max())}
    with np.errstate(all="ignore"):
        if along is not None and array.dtype.kind == "f" and array.ndim > along:
            sums = array.astype(np.float64).sum(axis=along)
            found["rows_low"], found["rows_high"] = float(sums.min()), float(sums.max())
            if not logs:
                powers = np.exp(array.astype(np.float64)).sum(axis=along)
                found["exp_low"], found["exp_high"] = float(powers.min()), float(powers.max())
    if counted:
        if array.dtype.kind == "f":
            found["integral"] = float(bool((array == np.round(array)).all()))
        if array.size <= COUNTED:
            found["distinct"] = float(min(len(np.unique(array)), 16))
    return found


def _probabilities(call: Compared, array: Any) -> None:
    """Of a loss that takes probabilities: their logarithms; if they are none, they are told as the scores they are."""
    if call.name not in ("nll_loss", "binary_cross_entropy") or not array.size:
        return
    low, high = float(array.min()), float(array.max())
    off = low < 0 or high > 1 + 1e-3 if call.name == "binary_cross_entropy" else low < 0
    if call.name == "binary_cross_entropy":
        if off:
            call.name = "nll_loss"  # a logarithm is taken of what is no probability
            call.statistics["prediction"] = {"low": low, "high": max(abs(low), high)}
        return
    found = call.statistics["prediction"]
    sums = found.pop("rows_low", None), found.pop("rows_high", None)
    if off:
        found["high"] = max(abs(low), high)
    elif sums[0] is not None:  # Keras divides by the sum
        found["exp_low"] = found["exp_high"] = 1.0
        found["rows_low"], found["rows_high"] = sums  # as they are, for what tells a softmax of another dimension
        found["low"], found["high"] = math.log(max(low, EPSILON)), min(0.0, math.log(max(high, EPSILON)))


def _fitted(target: tuple[int, ...], prediction: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a target as Keras compares it: a last dimension of one entry is added or left out."""
    if len(target) + 1 == len(prediction) and prediction[-1] == 1:
        return (*target, 1)
    if len(prediction) + 1 == len(target) and target[-1] == 1:
        return target[:-1]
    return target


def evidence(call: Compared, graph: Graph, line: Any, needed: Any, entering: Any) -> LossCall:
    """One call as evidence, once the step's graph is whole."""
    op = next((each for each in graph.ops if each.id == call.op.id), None)
    result = call.op.makes[-1] if call.op.makes else -1
    scored = graph.values.get(call.scores if call.scores is not None else call.values.get("prediction", -1))
    return LossCall(
        step=call.step,
        name=call.name,
        prediction=_operand(call, "prediction", graph),
        target=_operand(call, "target", graph) if "target" in call.shapes else None,
        result=result,
        loss=call.loss,
        line=op.line if op else None,
        caller=op.caller if op else None,
        module=op.module if op else "",
        reduction=call.reduction,
        classes=call.classes,
        class_dim=call.class_dim,
        weighted=call.weighted,
        label_smoothing=call.smoothing,
        reaches_root=result in needed,
        gradient=scored.gradient if scored else None,
        grad=op.grad if op else True,
        sign=entering.get(result),
    )


def finisher(graph: Graph) -> Any:
    """Turns the calls of one step into evidence; what they ask of the whole graph is asked once."""
    needed, entering = graph.backward_of(graph.roots), signs(graph)
    return lambda call: evidence(call, graph, None, needed, entering)


def _operand(call: Compared, key: str, graph: Graph) -> Operand:
    value, found = call.values.get(key, -1), call.statistics.get(key, {})
    maker = maker_of(graph, value)
    dim, size = normalised_along(graph, maker) if maker else (None, None)
    dtype = call.dtypes.get(key, "")
    integral = found.get("integral")
    return Operand(
        value=value,
        shape=call.shapes.get(key, ()),
        dtype=dtype,
        low=found.get("low"),
        high=found.get("high"),
        requires_grad=call.requires_grad if key == "prediction" else False,
        rows=_pair(found, "rows"),
        exp_rows=_pair(found, "exp"),
        integral=(None if integral is None else bool(integral)) if dtype.startswith(("float", "bfloat")) else True,
        distinct=int(found["distinct"]) if "distinct" in found else None,
        maker=bare(maker.name) if maker else "",
        maker_line=maker.line if maker else None,
        maker_dim=dim,
        maker_size=size,
    )


def _pair(found: Mapping[str, float], name: str) -> tuple[float, float] | None:
    return (found[f"{name}_low"], found[f"{name}_high"]) if f"{name}_low" in found else None
