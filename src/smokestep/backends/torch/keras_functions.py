"""Functions of Keras on torch that are one operation for the user, though they do many: dense layers and losses.

Each runs as ever; the tracer hears of it as of a function of torch's. A cross-entropy of probabilities is told as
`nll_loss`, whose prediction is their logarithm, or the scores that it was given for want of probabilities.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import handle_torch_function

from smokestep.backends.torch import losses
from smokestep.backends.torch.quiet import guarded, quiet

NN = "keras.src.backend.torch.nn"
BACKEND = "keras.src.backend"
TOLERANCE = 1e-3  # by which rounding may lift a probability over 1
DENSE = "keras.src.layers.core.dense"
NAMES = ("cross_entropy", "nll_loss", "binary_cross_entropy")


@dataclass(frozen=True)
class Composite:
    """A function by the name that the tracer is to hear; what it does is no part of that name."""

    name: str
    run: Callable[[], Any] = field(default=lambda: None, compare=False, repr=False)

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run()


def listen(stack: ExitStack, patch: Callable[..., None], tracer: Any) -> None:
    """Hear of Keras's cross-entropies as of one operation each; of what it tries on stand-ins, hear nothing."""
    functions, backend = sys.modules.get(NN), sys.modules.get(BACKEND)
    tracer.names.update({Composite(name): name for name in NAMES})

    def spec(original: Any, *args: Any, **kwargs: Any) -> Any:
        tracer.paused += 1
        try:
            return original(*args, **kwargs)
        finally:
            tracer.paused -= 1

    def sparse(original: Any, target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
        return _crossed(tracer, original, target, output, from_logits, axis)

    def binary(original: Any, target: Any, output: Any, from_logits: bool = False) -> Any:
        return _compared(tracer, original, target, output, from_logits)

    def dense(original: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        since = tracer._serial
        result = original(layer, *args, **kwargs)
        if not tracer.paused:
            guarded(tracer, _layered)(tracer, layer, since)
        return result

    if DENSE in sys.modules:
        patch(stack, sys.modules[DENSE].Dense, "call", dense)
    if backend is not None and "compute_output_spec" in vars(backend):
        patch(stack, backend, "compute_output_spec", spec)
    wraps = {"sparse_categorical_crossentropy": sparse, "categorical_crossentropy": sparse}
    for name, wrap in {**wraps, "binary_crossentropy": binary}.items():
        if functions is not None and name in vars(functions):
            patch(stack, functions, name, wrap)


def _crossed(tracer: Any, original: Any, target: Any, output: Any, from_logits: bool, axis: int) -> Any:
    """A cross-entropy of classes, as torch's functions are given theirs: classes second, targets whole numbers."""

    def run() -> Any:
        return original(target, output, from_logits=from_logits, axis=axis)

    if tracer.paused or tracer.off or not isinstance(output, torch.Tensor) or output.dim() < 2:
        return run()
    given = guarded(tracer, _given)(target, output, axis)
    if given is None:
        return run()
    told = Composite("cross_entropy" if from_logits else "nll_loss", run)
    before = len(tracer.losses)
    result = handle_torch_function(told, given, *given)
    if not from_logits and len(tracer.losses) == before + 1:
        guarded(tracer, _logarithms)(tracer.losses[-1][0], given[0])
    return result


def _compared(tracer: Any, original: Any, target: Any, output: Any, from_logits: bool) -> Any:
    """A cross-entropy of one probability, which Keras keeps from 0 and 1 whatever it is given."""

    def run() -> Any:
        return original(target, output, from_logits=from_logits)

    both = isinstance(output, torch.Tensor) and isinstance(target, torch.Tensor)
    if from_logits or tracer.paused or tracer.off or not both:
        return run()
    with quiet():
        scores = bool(((output < 0) | (output > 1 + TOLERANCE)).any())
    before = len(tracer.losses)
    told = Composite("nll_loss" if scores else "binary_cross_entropy", run)
    result = handle_torch_function(told, (output, target), output, target)
    if scores and len(tracer.losses) == before + 1:
        seen = tracer.losses[-1][0]
        seen.classes = seen.class_dim = None
        guarded(tracer, _logarithms)(seen, output)
    return result


def _given(target: Any, output: Any, axis: int) -> tuple[Any, Any] | None:
    moved = output if axis % output.dim() == 1 else output.movedim(axis, 1)
    target = torch.as_tensor(target, device=output.device)
    if target.dim() == output.dim() and target.shape != output.shape and target.shape[axis] == 1:
        target = target.squeeze(axis)
    if target.dim() == output.dim():
        return moved, target if axis % output.dim() == 1 else target.movedim(axis, 1)
    return moved, target.long()


def _logarithms(seen: losses.Seen, output: Any) -> None:
    """Measure the logarithms of what was given, where it is probabilities; Keras keeps them from 0 and divides by their
    sum. Of scores, measure how far they are from any logarithm."""
    with quiet():
        plain = output.detach().float()
        scores = seen.class_dim is None or bool((plain < 0).any())
        sums = plain.sum(1, keepdim=True) if not scores else plain
        measured = plain.abs() if scores else (plain / sums).clip(1e-7, 1 - 1e-7).log()
        told = losses._measure(measured, seen.class_dim, exponentials=True)
        if not scores and "rows_low" in told.names:  # as they are, for what tells a softmax of another dimension
            told.vector[told.names.index("rows_low")] = sums.min()
            told.vector[told.names.index("rows_high")] = sums.max()
    told.requires_grad, told.dtype = seen.prediction.requires_grad, seen.prediction.dtype
    seen.prediction = told


def _layered(tracer: Any, layer: Any, since: int) -> None:
    """A product with a weight and the bias added to it are one layer, as in torch's `linear`."""
    kernel, bias = (
        tracer.known.get(id(getattr(getattr(layer, key, None), "value", None))) for key in ("kernel", "bias")
    )
    ops = [op for op in tracer.ops[-16:] if op.id > since and op.makes]
    product = next((op for op in ops if op.name == "matmul" and kernel is not None and kernel.id in op.reads), None)
    if product is None:
        return
    added = next((op for op in ops if op.name == "add" and op.reads[:1] == product.makes), None)
    if added is not None and bias is not None and bias.id in added.reads:
        tracer.ops.remove(product)
        added.reads, product = [*product.reads, bias.id], added
    product.name, product.args = "linear", {"units": -1}
