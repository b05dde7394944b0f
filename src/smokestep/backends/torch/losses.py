"""Recognised loss functions: what each call was given, measured at the call, and told as `LossCall` after the step.

`observe` keeps no tensor but a short vector of statistics, so it costs a pass or two over the operands and no wait for
a device; `finish` is a pure function of what was observed and of the step's graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn import _reduction
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from smokestep.evidence.flow import Graph, Op
from smokestep.evidence.losses import LossCall, Operand
from smokestep.evidence.origins import bare, maker_of, normalised_along, signs

CLASSED = frozenset({"cross_entropy", "nll_loss", "multi_margin_loss", "multilabel_margin_loss"})
RECOGNISED: frozenset[str] = frozenset(
    name
    for name in (
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cosine_embedding_loss",
        "cross_entropy",
        "ctc_loss",
        "gaussian_nll_loss",
        "hinge_embedding_loss",
        "huber_loss",
        "kl_div",
        "l1_loss",
        "linear_cross_entropy",
        "margin_ranking_loss",
        "mse_loss",
        "multi_margin_loss",
        "multilabel_margin_loss",
        "multilabel_soft_margin_loss",
        "nll_loss",
        "poisson_nll_loss",
        "smooth_l1_loss",
        "soft_margin_loss",
        "triplet_margin_loss",
        "triplet_margin_with_distance_loss",
    )
    if hasattr(F, name)
)

SUMMED = 1 << 22  # entries whose rows are summed: a few milliseconds on one core
COUNTED = 65_536  # entries up to which distinct target values are counted: sorting them takes under a millisecond


@dataclass(slots=True)
class Measured:
    """The attributes of one operand, and its statistics by name: one small vector, read when the step is over."""

    shape: tuple[int, ...]
    dtype: str
    requires_grad: bool
    names: tuple[str, ...] = ()
    vector: Any = None

    def read(self) -> dict[str, float]:
        """The statistics as floats; empty when they could not be taken."""
        return {} if self.vector is None else dict(zip(self.names, map(float, self.vector.tolist()), strict=True))


@dataclass
class Seen:
    """One loss call as it was seen. The recorder fills the op and the step; `finish` tells the rest.

    `positions`: the places of prediction and target among the tensors of the call, which are the op's first reads.
    """

    name: str
    prediction: Measured
    target: Measured | None
    reduction: str = "mean"
    classes: int | None = None
    class_dim: int | None = None
    ignore_index: int | None = None
    weighted: bool = False
    label_smoothing: float = 0.0
    log_target: bool = False
    positions: tuple[int, int | None] = (0, None)
    prediction_value: int = -1
    target_value: int | None = -1
    result_value: int = -1
    op: int = -1
    step: int = 0


@cache
def _signature(name: str) -> inspect.Signature:
    return inspect.signature(getattr(F, name))


def _bound(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        bound = _signature(name).bind(*args, **kwargs)
    except TypeError:  # the call is about to fail, or is a lower-level function of the same name
        return None
    bound.apply_defaults()
    return bound.arguments


def operands(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The prediction and the target (None if it has none) of a call of this loss; None if the call does not bind."""
    given = _bound(name, args, kwargs)
    if given is None:
        return None
    prediction = next(given[key] for key in ("input", "input1", "log_probs", "anchor") if key in given)
    target = given.get("target", given.get("targets"))
    if not isinstance(prediction, torch.Tensor):
        return None
    return prediction, target if isinstance(target, torch.Tensor) else None


def observe(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Seen | None:
    """Measure one call of a recognised loss, right before it runs.

    None if its arguments do not fit its signature, or inside torch.func transforms: their tensors end with them.
    """
    if torch._C._are_functorch_transforms_active():
        return None
    given, pair = _bound(name, args, kwargs), operands(name, args, kwargs)
    if given is None or pair is None:
        return None
    prediction, target = pair
    classes, class_dim = _classes(name, given, prediction)
    index = given.get("ignore_index")
    ignorable = target is not None and index is not None and not target.is_floating_point()
    along = class_dim if class_dim is not None else -1 if name == "kl_div" and prediction.dim() else None
    return Seen(
        name=name,
        prediction=_measure(prediction, along, exponentials=name in ("nll_loss", "kl_div", "ctc_loss")),
        target=None
        if target is None
        else _measure(
            target,
            along if target.is_floating_point() and target.shape == prediction.shape else None,
            exponentials=bool(given.get("log_target")),
            ignored=index if ignorable else None,
            counted=True,
        ),
        reduction=_reduction_of(given),
        classes=classes,
        class_dim=class_dim,
        ignore_index=index,
        weighted=given.get("weight") is not None or given.get("pos_weight") is not None,
        label_smoothing=float(given.get("label_smoothing") or 0.0),
        log_target=bool(given.get("log_target")),
        positions=_positions([*args, *kwargs.values()], prediction, target),
    )


def _positions(given: list[Any], prediction: torch.Tensor, target: Any) -> tuple[int, int | None]:
    tensors = [each for each in given if isinstance(each, torch.Tensor)]
    first = next(index for index, each in enumerate(tensors) if each is prediction)
    others = [index for index, each in enumerate(tensors) if each is target]
    return first, others[-1] if others else None


def _classes(name: str, given: Mapping[str, Any], prediction: torch.Tensor) -> tuple[int | None, int | None]:
    if name == "linear_cross_entropy":  # the logits are never materialised: the weight has a row for each class
        return int(given["linear_weight"].shape[0]), None
    if name == "ctc_loss":
        return int(prediction.shape[-1]), prediction.dim() - 1
    if name not in CLASSED or not prediction.dim():
        return None, None
    dim = 0 if prediction.dim() == 1 else 1
    return int(prediction.shape[dim]), dim


def _reduction_of(given: Mapping[str, Any]) -> str:
    if given.get("size_average") is not None or given.get("reduce") is not None:
        return _reduction.legacy_get_string(given.get("size_average"), given.get("reduce"), emit_warning=False)
    return str(given.get("reduction", "mean"))


def _measure(
    tensor: torch.Tensor,
    along: int | None,
    *,
    exponentials: bool = False,
    ignored: int | None = None,
    counted: bool = False,
) -> Measured:
    """The attributes and the statistics: none for a tensor without readable entries (meta, over several devices)."""
    measured = Measured(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), bool(tensor.requires_grad))
    try:
        found = _statistics(tensor, along, exponentials, ignored, counted)
        if found:
            measured.names = tuple(found)
            measured.vector = torch.stack([each.reshape(()).to(torch.float32) for each in found.values()])
    except (RuntimeError, NotImplementedError, TypeError):  # sparse, nested, quantised: attributes are all there is
        measured.names, measured.vector = (), None
    return measured


def _statistics(
    tensor: torch.Tensor, along: int | None, exponentials: bool, ignored: int | None, counted: bool
) -> dict[str, torch.Tensor]:
    if not tensor.numel() or tensor.is_complex() or tensor.is_meta or is_traceable_wrapper_subclass(tensor):
        return {}
    tensor = tensor.detach()
    if tensor.dtype == torch.bool:
        tensor = tensor.to(torch.uint8)
    found: dict[str, torch.Tensor] = {}
    if ignored is not None:
        found["ignored"] = (tensor == ignored).float().mean()
        # The range of the targets that count: an index to be ignored may be any number.
        wide = torch.iinfo(tensor.dtype)
        found["low"] = torch.where(tensor == ignored, wide.max, tensor).amin()
        found["high"] = torch.where(tensor == ignored, wide.min, tensor).amax()
    else:
        found["low"], found["high"] = torch.aminmax(tensor)
    if along is not None and tensor.is_floating_point():
        some = _some_rows(tensor, along)
        found["rows_low"], found["rows_high"] = torch.aminmax(some.sum(along, dtype=_wide(some)))
        if exponentials:
            found["exp_low"], found["exp_high"] = torch.aminmax(some.to(_wide(some)).exp().sum(along))
    if counted:
        if tensor.is_floating_point():
            found["integral"] = (tensor == tensor.round()).all().float()
        if tensor.numel() <= COUNTED and tensor.device.type == "cpu":  # elsewhere counting would wait for the device
            found["distinct"] = torch.tensor(float(min(len(torch.unique(tensor)), 16)), device="cpu")
    return found


def _some_rows(tensor: torch.Tensor, along: int) -> torch.Tensor:
    """The first rows, as many as are cheap to sum: a normalisation over the wrong dimension shows in all of them."""
    other = next((dim for dim in range(tensor.dim()) if dim != along % tensor.dim()), None)
    if other is None or tensor.numel() <= SUMMED:
        return tensor
    return tensor.narrow(other, 0, max(1, tensor.shape[other] * SUMMED // tensor.numel()))


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return tensor.dtype if tensor.dtype == torch.float64 else torch.float32


def finish(seen: Seen, graph: Graph, result_scalar: float | None) -> LossCall:
    """One call as evidence, once the step's graph is whole."""
    return finisher(graph)(seen, result_scalar)


def finisher(graph: Graph) -> Callable[[Seen, float | None], LossCall]:
    """Turns the calls of one step into evidence; what they ask of the whole graph is asked once."""
    ops = {op.id: op for op in graph.ops}
    needed, entering = graph.backward_of(graph.roots), signs(graph)

    def told(seen: Seen, result_scalar: float | None) -> LossCall:
        return _told(seen, graph, result_scalar, ops.get(seen.op), needed, entering)

    return told


def _told(
    seen: Seen,
    graph: Graph,
    result_scalar: float | None,
    op: Op | None,
    needed: frozenset[int],
    entering: Mapping[int, int | None],
) -> LossCall:
    if op is not None:
        seen.prediction_value, seen.target_value = (
            op.reads[index] if index is not None and index < len(op.reads) else -1 for index in seen.positions
        )
    target = seen.target
    statistics = target.read() if target else {}
    prediction_value = graph.values.get(seen.prediction_value)
    return LossCall(
        step=seen.step,
        name=seen.name,
        prediction=_operand(seen.prediction, seen.prediction.read(), seen.prediction_value, graph),
        target=_operand(target, statistics, seen.target_value or -1, graph) if target else None,
        result=seen.result_value,
        loss=result_scalar,
        line=op.line if op else None,
        caller=op.caller if op else None,
        module=op.module if op else "",
        reduction=seen.reduction,
        classes=seen.classes,
        class_dim=seen.class_dim,
        ignore_index=seen.ignore_index,
        ignored=statistics.get("ignored"),
        weighted=seen.weighted,
        label_smoothing=seen.label_smoothing,
        log_target=seen.log_target,
        reaches_root=seen.result_value in needed,
        gradient=prediction_value.gradient if prediction_value else None,
        grad=op.grad if op else True,
        sign=entering.get(seen.result_value),
    )


def _operand(measured: Measured, statistics: Mapping[str, float], value: int, graph: Graph) -> Operand:
    maker = maker_of(graph, value)
    dim, size = normalised_along(graph, maker) if maker else (None, None)
    empty = statistics.get("low", 0.0) > statistics.get("high", 0.0)  # every target is ignored
    integer = not measured.dtype.startswith(("float", "bfloat", "complex"))
    integral = statistics.get("integral")
    return Operand(
        value=value,
        shape=measured.shape,
        dtype=measured.dtype,
        low=None if empty else statistics.get("low"),
        high=None if empty else statistics.get("high"),
        requires_grad=measured.requires_grad,
        rows=_pair(statistics, "rows"),
        exp_rows=_pair(statistics, "exp"),
        integral=True if integer else None if integral is None else bool(integral),
        distinct=int(statistics["distinct"]) if "distinct" in statistics else None,
        maker=bare(maker.name) if maker else "",
        maker_line=maker.line if maker else None,
        maker_dim=dim,
        maker_size=size,
    )


def _pair(statistics: Mapping[str, float], name: str) -> tuple[float, float] | None:
    if f"{name}_low" not in statistics:
        return None
    return statistics[f"{name}_low"], statistics[f"{name}_high"]
