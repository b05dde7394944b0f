"""Slopes measured: the result of a call nudged to either side, in double precision, beside the gradient of its
backward.

Two widths of nudge must agree: where they do not there is a kink, or noise, and the slope is left out.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from smokestep import facts
from smokestep.backends.torch import frames
from smokestep.backends.torch.calls import flat
from smokestep.backends.torch.lab.capture import Given, mapped
from smokestep.backends.torch.lab.drawing import drawing
from smokestep.backends.torch.meters import measurable
from smokestep.evidence.slopes import Input, Slope, Sloped
from smokestep.findings import Line

Tensor = torch.Tensor
WIDTHS = (1e-4, 1e-5)  # of the largest entry: the error of a central difference is then some 1e-8 and 1e-10
SETTLED = 1e-4  # the share by which the two may differ
DIRECTIONS, ENTRIES = 3, 8


class Applied:
    """One call of a custom Function: its class, its arguments, and where it was applied."""

    __slots__ = ("args", "kind", "line", "wanting")

    def __init__(self, kind: Any, args: Sequence[Any], wanting: Sequence[bool], line: Line | None) -> None:
        self.kind, self.wanting, self.line = kind, tuple(wanting), line
        self.args = tuple(each.detach().clone() if measurable(each) else each for each in args)


def _kinds(kind: Any = torch.autograd.Function) -> Iterator[Any]:
    for each in kind.__subclasses__():
        if not each.__module__.startswith(("torch.", "torch_")) and isinstance(
            each.__dict__.get("forward"), staticmethod
        ):
            yield each
        yield from _kinds(each)


@contextmanager
def applying() -> Iterator[dict[Any, Applied]]:
    """The first call, with something to differentiate, of every custom Function that the block applies."""
    seen: dict[Any, Applied] = {}
    patched = []
    for kind in dict.fromkeys(_kinds()):
        original = kind.__dict__["forward"]
        patched.append((kind, original))
        kind.forward = staticmethod(_heard(original.__func__, kind, seen))
    try:
        yield seen
    finally:
        for kind, original in patched:
            kind.forward = original


def _heard(forward: Callable[..., Any], kind: Any, seen: dict[Any, Applied]) -> Callable[..., Any]:
    def heard(*args: Any, **kwargs: Any) -> Any:
        ctx = args[0] if args and isinstance(args[0], torch.autograd.function.FunctionCtx) else None
        own = type(ctx)._forward_cls if ctx is not None and hasattr(type(ctx), "_forward_cls") else kind
        given = args[1:] if ctx is not None else args
        wanting = [isinstance(each, Tensor) and each.requires_grad for each in given]
        if any(wanting) and own not in seen and not kwargs:
            seen[own] = Applied(own, given, wanting, frames.line_of(frames.position()[1]))
        return forward(*args, **kwargs)

    heard.__wrapped__ = forward
    return heard


def of_function(applied: Applied) -> Sloped:
    """A custom Function tried alone."""
    kind = applied.kind
    parameters = list(inspect.signature(inspect.unwrap(kind.forward)).parameters)
    names = (parameters if not _with_setup(kind) else ["ctx", *parameters])[1:]
    names += [f"argument {len(names) + more}" for more in range(len(applied.args) - len(names))]
    args = mapped(list(applied.args), _double)
    wanted = [(names[i], args[i]) for i, wants in enumerate(applied.wanting) if wants and _real(args[i])]
    others = [(names[i], args[i]) for i, wants in enumerate(applied.wanting) if not wants and _real(args[i])]
    known = Sloped(kind.__name__, applied.line, _definition(kind.backward))
    return _tried(known, wanted, others, lambda: kind.apply(*args))


def of_model(module: nn.Module, given: Given, known: Sloped) -> Sloped:
    """A copy of a model tried as a whole, in evaluation mode."""
    if any(each._backward_hooks or each._backward_pre_hooks for each in module.modules()) or any(
        each._backward_hooks for each in module.parameters()
    ):
        return _skipped(known, "a hook changes gradients on their way")
    try:
        twin = copy.deepcopy(module).double().eval()
    except Exception as error:
        return _skipped(known, f"it could not be copied in double precision: {facts.told(error)}")
    args, kwargs = mapped((given.args, given.kwargs), _double)
    weights = [(name, each) for name, each in twin.named_parameters() if each.requires_grad and _real(each)]
    inputs = [(name, each) for name, each in flat((args, kwargs), "") if name in given.wanting and _real(each)]
    padding = {
        id(each.weight): each.padding_idx
        for each in twin.modules()
        if isinstance(each, (nn.Embedding, nn.EmbeddingBag)) and each.padding_idx is not None
    }

    def call() -> Any:
        with _default_double():
            return twin(*args, **kwargs)

    return _tried(known, [*weights, *inputs], [], call, together=True, padding=padding)


@contextmanager
def _default_double() -> Iterator[None]:
    """What the model makes itself is double, too: the processor's attention takes a single-precision mask for double
    queries, and gives a wrong gradient (torch 2.13)."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _tried(
    known: Sloped,
    wanted: Sequence[tuple[str, Tensor]],
    others: Sequence[tuple[str, Tensor]],
    call: Callable[[], Any],
    *,
    together: bool = False,
    padding: Mapping[int, int] = MappingProxyType({}),
) -> Sloped:
    """The sum of the results, each entry with a random weight, is what is differentiated.

    `padding`: rows of embeddings whose gradient is 0 by definition, by the identity of the table; they are not nudged.
    """
    if not wanted:
        return _skipped(known, "nothing that it is given in numbers asks for gradient")
    tensors = [tensor.requires_grad_() for _, tensor in wanted]
    before = [tensor._version for _, tensor in (*wanted, *others)]
    try:
        with torch.enable_grad(), drawing(0) as drawn:
            made = [each for _, each in flat(call(), "")]
        places = [i for i, each in enumerate(made) if each.is_floating_point() and each.requires_grad]
        results = [made[i] for i in places]
        if drawn.drew:
            return _skipped(known, "it draws random numbers")
        if [tensor._version for _, tensor in (*wanted, *others)] != before:
            return _skipped(known, "it writes into its arguments")
        if not results or any(each.dtype != torch.float64 for each in results):
            return _skipped(known, "its result is not in double precision, although its arguments are")
        draws = torch.Generator("cpu").manual_seed(0)
        weights = [_normal(each, draws) for each in results]
        grads = torch.autograd.grad(results, tensors, weights, allow_unused=True)

        def total() -> float:
            with torch.no_grad():
                now = [each for _, each in flat(call(), "")]
                return sum(float((now[i] * weight).sum()) for i, weight in zip(places, weights, strict=True))

        if total() != total():
            return _skipped(known, "two equal calls of it differ: it keeps something between them")
        if together:
            steps = [[(t, _normal(t, draws) * _size(t)) for t in tensors] for _ in range(2 * DIRECTIONS)]
            for tensor, direction in (each for step in steps for each in step):
                if id(tensor) in padding:
                    direction[padding[id(tensor)]] = 0.0
            given = [
                sum(float((g * d).sum()) for g, (_, d) in zip(grads, s, strict=True) if g is not None) for s in steps
            ]
            slopes = [_slope(total, s, g, False) for s, g in zip(steps, given, strict=True)]
            one = Input(
                "its weights", tuple(each for each in slopes if each), len(slopes), sum(t.numel() for t in tensors)
            )
            return _with(known, (one,))
        inputs = tuple(
            _input(name, tensor, grad, results, weights, total, draws)
            for (name, tensor), grad in zip(wanted, grads, strict=True)
            if grad is not None and tensor.numel()
        )
        idle = next((name for name, each in others if _idle(each, total, draws)), "")
    except Exception as error:
        return _skipped(known, f"it could not be tried in double precision: {facts.told(error)}")
    return _with(known, inputs, idle)


def _input(
    name: str, tensor: Tensor, grad: Tensor, results: Any, weights: Any, total: Callable[[], float], draws: Any
) -> Input:
    size = _size(tensor)
    directions = [_normal(tensor, draws) * size for _ in range(DIRECTIONS)]
    slopes = [_slope(total, [(tensor, each)], float((grad * each).sum()), False) for each in directions]
    for index in torch.randperm(tensor.numel(), generator=draws, device=draws.device)[:ENTRIES].tolist():
        step = torch.zeros_like(tensor).flatten()
        step[index] = size
        step = step.view(tensor.shape)
        slopes.append(_slope(total, [(tensor, step)], float((grad * step).sum()), True))
    passing = any(grad.shape == weight.shape and _passed(grad.detach(), weight) for weight in weights)
    same = any(each.shape == tensor.shape and torch.equal(each.detach(), tensor.detach()) for each in results)
    bend = max(abs(_bend(total, tensor, each)) for each in directions)
    steep = max((abs(each.measured) for each in slopes if each), default=0.0)
    kept = tuple(each for each in slopes if each)
    return Input(name, kept, len(slopes), tensor.numel(), same, passing, bend <= 1e-7 * steep)


def _slope(
    total: Callable[[], float], step: Sequence[tuple[Tensor, Tensor]], given: float, entry: bool
) -> Slope | None:
    found = []
    for width in WIDTHS:
        found.append((_at(total, step, width) - _at(total, step, -width)) / (2 * width))
    coarse, fine = found
    if not abs(coarse - fine) <= SETTLED * max(abs(coarse), abs(fine)) + 1e-12 * abs(total()) / WIDTHS[1]:
        return None
    return Slope(fine, given, entry)


def _bend(total: Callable[[], float], tensor: Tensor, step: Tensor) -> float:
    """How far the result is from a straight line along a step."""
    there, back = _at(total, [(tensor, step)], 0.5), _at(total, [(tensor, step)], -0.5)
    return there + back - 2 * total()


def _at(total: Callable[[], float], step: Sequence[tuple[Tensor, Tensor]], width: float) -> float:
    kept = [tensor.detach().clone() for tensor, _ in step]
    with torch.no_grad():
        for tensor, direction in step:
            tensor.data += width * direction
        value = total()
        for (tensor, _), old in zip(step, kept, strict=True):
            tensor.data.copy_(old)
    return value


def _idle(tensor: Tensor, total: Callable[[], float], draws: Any) -> bool:
    return _at(total, [(tensor, _normal(tensor, draws) * _size(tensor))], 0.5) == total()


def _passed(grad: Tensor, weight: Tensor) -> bool:
    """The gradient is the incoming one, times one number, wherever it is not 0."""
    some = grad != 0
    ratio = grad[some] / weight[some]
    return bool(ratio.numel()) and bool((ratio - ratio[0]).abs().max() <= 1e-9 * ratio[0].abs())


def _double(tensor: Tensor) -> Tensor:
    if not measurable(tensor):
        return tensor
    return tensor.detach().double().clone() if tensor.is_floating_point() else tensor.detach().clone()


def _real(thing: Any) -> bool:
    return measurable(thing) and thing.dtype == torch.float64 and thing.numel() > 0


def _size(tensor: Tensor) -> float:
    return float(tensor.detach().abs().max()) or 1.0


def _normal(like: Tensor, draws: Any) -> Tensor:
    return torch.randn(like.shape, generator=draws, dtype=torch.float64, device=draws.device).to(like.device)


def _with_setup(kind: Any) -> bool:
    return kind.setup_context is not torch.autograd.function._SingleLevelFunction.setup_context


def _definition(backward: Any) -> Line | None:
    code = getattr(inspect.unwrap(backward), "__code__", None)
    if code is None:
        return None
    line = frames.line_of((code.co_filename, code.co_firstlineno))
    for more in range(1, 4):
        if line is not None and line.code.startswith("@"):
            line = frames.line_of((code.co_filename, code.co_firstlineno + more))
    return line


def _skipped(known: Sloped, why: str) -> Sloped:
    return Sloped(known.name, known.line, known.backward, why=why, whole=known.whole)


def _with(known: Sloped, inputs: tuple[Input, ...], idle: str = "") -> Sloped:
    return Sloped(known.name, known.line, known.backward, inputs, idle, whole=known.whole)
