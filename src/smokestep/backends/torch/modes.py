"""Modes: keeps, while a training runs, which mode every mode-sensitive module ran in and what its statistics did.

`ran` is called for every module call, so it does a dictionary look-up and leaves; what costs is done once for each
module, step and mode. Nothing here changes a module, and no tensor leaves `finish`.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from smokestep.evidence.modes import FunctionalDropout, Layer, Modes, ModuleKind, Run
from smokestep.findings import Line

Lined = Line | Callable[[], Line | None] | None

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_KINDS: tuple[tuple[tuple[type, ...], ModuleKind], ...] = (
    ((_BatchNorm,), "batch_norm"),
    ((_InstanceNorm,), "instance_norm"),
    ((nn.LayerNorm, *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ())), "layer_norm"),
    ((nn.GroupNorm,), "group_norm"),
    ((_DropoutNd,), "dropout"),
    ((_NormBase,), "other"),
)
_OFF_BY_DEFAULT = {"alpha_dropout", "feature_alpha_dropout"}  # torch's own default: training=False


@dataclass(slots=True)
class _Ran:
    """What is kept of one module in one mode in one step."""

    line: Line | None
    ops: list[int]
    samples: int | None
    times: int = 1


@dataclass(slots=True)
class _Kept:
    """What is kept of one module over the run: it holds the module, so that its id is not given to another."""

    module: nn.Module
    kind: ModuleKind
    seen: int | None
    trainable: set[str] = field(default_factory=set)
    before: tuple[torch.Tensor, ...] | None = None
    moved: dict[int, bool] = field(default_factory=dict)


class ModeLog:
    """The log of one recorded run, filled by the recorder's hooks and read once by `finish`.

    A `line` may be given as a function that finds it: it is called only where the line will be kept.
    """

    def __init__(self) -> None:
        self._kinds: dict[type, ModuleKind | None] = {}
        self._kept: dict[int, _Kept] = {}
        self._runs: dict[tuple[int, int, bool, bool], _Ran] = {}
        self._dropouts: list[tuple[int, Line | None, nn.Module | None, bool, bool, bool, bool, float]] = []
        self._switches: list[tuple[nn.Module, bool, Line | None]] = []
        self._steps: set[int] = set()

    def forget(self) -> None:
        """The training is built: forget what ran while it was, but not who called train() and eval()."""
        self._kept.clear()
        self._runs.clear()
        self._dropouts.clear()
        self._steps.clear()

    def ran(
        self,
        module: nn.Module,
        *,
        step: int,
        grad: bool,
        inputs: tuple[Any, ...],
        line: Lined,
        op_index: int,
        root: bool = False,
    ) -> None:
        """A module is about to run (forward pre-hook); `op_index` is that of the next operation."""
        kind = self._kind(module)
        if kind is None:
            if not root:
                return
            kind = "root"
        ran = self._runs.get((id(module), step, module.training, grad))
        if ran is not None:
            ran.times += 1
            if ran.ops[-1] != op_index and len(ran.ops) < 16:  # enough to find one that reaches the loss
                ran.ops.append(op_index)
            return
        with torch._C.DisableTorchFunction():
            kept = self._keep(module, kind)
            kept.trainable.update(
                name for name, own in module._parameters.items() if own is not None and own.requires_grad
            )
            if kept.before is None and step not in kept.moved:
                kept.before = _copies(module)
            samples = _samples(module, kind, inputs)
        self._steps.add(step)
        self._runs[id(module), step, module.training, grad] = _Ran(_line(line), [op_index], samples)

    def dropout(
        self,
        step: int,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        module: nn.Module | None,
        line: Lined,
        grad: bool,
        name: str = "dropout",
    ) -> None:
        """A dropout function was called by the user's code (not by a dropout module) while `module` ran."""
        found = _line(line)
        told = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else None))
        active = name not in _OFF_BY_DEFAULT if told is None else bool(told)
        # torch fills in the default before the call can be seen, so whether it was passed is read from the source
        passed = told is not None and (found is None or passes(found.file, found.line, name))
        probability = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        self._dropouts.append(
            (
                step,
                found,
                module,
                passed,
                active,
                module is None or module.training,
                found is not None and guarded(found.file, found.line),
                float(probability),
            )
        )

    def switch(self, module: nn.Module, mode: bool, line: Lined) -> None:
        """`train(mode)` was called on a module; the calls it makes on its children follow, from the same line."""
        found = _line(line)
        if self._switches:
            above, last, at = self._switches[-1]
            if last == mode and at == found and any(module is below for below in above.modules()):
                return
        self._switches.append((module, mode, found))

    def begin(self, step: int, modules: Iterable[tuple[str, nn.Module]]) -> None:
        """A step begins: copy the running statistics of these modules."""
        self._steps.add(step)
        with torch._C.DisableTorchFunction():
            for _, module in modules:
                kind = self._kind(module)
                if kind is not None and module._buffers.get("running_mean") is not None:
                    self._keep(module, kind).before = _copies(module)

    def end(self, step: int) -> None:
        """A step ended: compare the running statistics, bit for bit, with those before it."""
        with torch._C.DisableTorchFunction():
            for kept in self._kept.values():
                if kept.before is not None:
                    kept.moved[step] = _differ(kept.before, _statistics(kept.module))
                    kept.before = None

    def finish(
        self,
        paths: Mapping[int, str],
        model_of: Callable[[str], str],
        reached: Callable[[int, int], bool],
        installed: Callable[[type], bool],
    ) -> Modes:
        """The evidence. Modules without a path (replicas, throw-aways) are left out."""
        count = max(self._steps, default=-1) + 1
        if self._steps:
            self.end(max(self._steps))  # a step that was cut short
        layers = tuple(
            _layer(kept, paths[key], count, model_of, installed) for key, kept in self._kept.items() if key in paths
        )
        runs = tuple(
            Run(
                step=step,
                path=paths[key],
                training=training,
                grad=grad,
                times=ran.times,
                reaches_root=any(reached(step, op) for op in ran.ops),
                samples=ran.samples,
                line=ran.line,
            )
            for (key, step, training, grad), ran in self._runs.items()
            if key in paths
        )
        dropouts = tuple(
            FunctionalDropout(step, line, (paths[id(module)] or model_of("")) if id(module) in paths else "", *rest)
            for step, line, module, *rest in self._dropouts
        )
        switches = tuple(
            (paths[id(module)], mode, line) for module, mode, line in self._switches if id(module) in paths
        )
        return Modes(layers, runs, dropouts, switches)

    def _kind(self, module: nn.Module) -> ModuleKind | None:
        try:
            kind = self._kinds[type(module)]
        except KeyError:
            kind = next((kind for classes, kind in _KINDS if isinstance(module, classes)), None)
            self._kinds[type(module)] = kind
        # a normalization written by hand, by the names of its buffers (FrozenBatchNorm2d and its like)
        return "other" if kind is None and "running_mean" in (module.__dict__.get("_buffers") or ()) else kind

    def _keep(self, module: nn.Module, kind: ModuleKind) -> _Kept:
        if id(module) not in self._kept:
            self._kept[id(module)] = _Kept(module, kind, _seen(module))
        return self._kept[id(module)]


def _line(line: Lined) -> Line | None:
    return line() if callable(line) else line


def _statistics(module: nn.Module) -> tuple[torch.Tensor, ...]:
    """Its running statistics; none while a lazy module has not been shaped yet."""
    buffers = module.__dict__.get("_buffers") or {}
    found = (buffers.get(name) for name in _STATISTICS)
    return tuple(each for each in found if each is not None and not nn.parameter.is_lazy(each))


def _copies(module: nn.Module) -> tuple[torch.Tensor, ...] | None:
    statistics = _statistics(module)
    return tuple(each.detach().clone() for each in statistics) if statistics else None


def _differ(before: tuple[torch.Tensor, ...], after: tuple[torch.Tensor, ...]) -> bool:
    """Whether mean or variance moved; the batch counter counts a batch even with momentum 0, so it does not tell."""
    if len(before) != len(after):
        return True
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old.is_floating_point()]
    return any(old.shape != new.shape or not torch.equal(old, new.to(old.device)) for old, new in pairs)


def _seen(module: nn.Module) -> int | None:
    """Batches tracked so far; statistics loaded from a file that had no counter count as one batch seen."""
    statistics = {name: module._buffers.get(name) for name in _STATISTICS}
    mean, variance = statistics["running_mean"], statistics["running_var"]
    if mean is None or variance is None:
        return None
    if nn.parameter.is_lazy(mean):
        return 0
    initial = bool((mean == 0).all()) and bool((variance == 1).all())
    counter = statistics["num_batches_tracked"]
    counted = int(counter) if counter is not None else 0
    return counted if counted or initial else 1


def _samples(module: nn.Module, kind: ModuleKind, inputs: tuple[Any, ...]) -> int | None:
    """How many values one mean is taken over; None where other processes add theirs or the input is no tensor."""
    given = inputs[0] if inputs else None
    if not isinstance(given, torch.Tensor) or isinstance(module, nn.SyncBatchNorm):
        return None
    shape = tuple(given.shape)
    if kind == "batch_norm" and len(shape) > 1:
        return shape[0] * prod(shape[2:])
    if kind == "layer_norm":
        return prod(getattr(module, "normalized_shape", shape[-1:]) or ())
    if kind == "group_norm" and len(shape) > 1:
        return shape[1] // max(1, int(getattr(module, "num_groups", 1))) * prod(shape[2:])
    if kind == "instance_norm":
        channels_first = len(shape) - {"InstanceNorm1d": 1, "InstanceNorm2d": 2, "InstanceNorm3d": 3}.get(
            next((each.__name__ for each in type(module).__mro__ if each.__name__.startswith("InstanceNorm")), ""), 1
        )
        return prod(shape[channels_first:])
    return None


def _layer(
    kept: _Kept,
    path: str,
    count: int,
    model_of: Callable[[str], str],
    installed: Callable[[type], bool],
) -> Layer:
    module = kept.module
    prefix = f"{path}." if path else ""
    own = [name for name, value in module._parameters.items() if value is not None] if kept.kind != "root" else []
    statistics = [name for name in _STATISTICS if module._buffers.get(name) is not None]
    return Layer(
        path=path,
        kind=kept.kind,
        class_name=type(module).__name__,
        statistics="running_mean" in statistics,
        moved=tuple(kept.moved.get(step, False) for step in range(count)) if statistics else (),
        seen=kept.seen,
        momentum=getattr(module, "momentum", None),
        probability=float(module.p) if kept.kind == "dropout" else None,
        affine=tuple(prefix + name for name in own),
        trainable=tuple(prefix + name for name in own if name in kept.trainable),
        model=model_of(path),
        installed=installed(type(module)),
        statistics_names=tuple(prefix + name for name in statistics),
    )


@lru_cache(maxsize=512)
def passes(file: str, line: int, name: str) -> bool:
    """Whether the calls of a dropout function on this line pass `training`; True where the source does not show them."""
    tree = _tree(file)
    calls = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or 0)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
    ]
    return all(
        len(call.args) > 2
        or any(isinstance(each, ast.Starred) for each in call.args)
        or any(each.arg in (None, "training", "train") for each in call.keywords)
        for call in calls
    )


@lru_cache(maxsize=512)
def guarded(file: str, line: int) -> bool:
    """Whether what stands on this line runs only under a condition on `training`.

    Read generously, since it excuses: any condition on `training` in the function around the line counts (an early
    `return` guards too), and so does one around a call of that function in the same file.
    """
    tree = _tree(file)
    if tree is None:
        return False
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not functions:
        return False
    inner = max(functions, key=lambda node: node.lineno)
    if any(_asks(node) for node in ast.walk(inner)):
        return True
    return inner.name != "forward" and any(
        isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) == inner.name
        for node in ast.walk(tree)
        if _asks(node)
        for call in ast.walk(node)
    )


def _asks(node: ast.AST) -> bool:
    """An `if`, a conditional expression or an `and`/`or` that reads something called `training`."""
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        tests: list[ast.expr] = [node.test]
    elif isinstance(node, ast.BoolOp):
        tests = node.values
    else:
        return False
    names = (getattr(each, "attr", getattr(each, "id", "")) for test in tests for each in ast.walk(test))
    return any(name in ("training", "is_training", "train") for name in names)


@lru_cache(maxsize=64)
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
