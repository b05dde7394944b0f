"""Modes: keeps, while a training runs, which mode every mode-sensitive module ran in and what its statistics did.

`ran` is called for every module call, so it does a dictionary look-up and leaves; what costs is done once for each
module, step and mode. Nothing here changes a module, and no tensor leaves `finish`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from smokestep.backends.torch.conditions import guarded, passes, sets_mode
from smokestep.backends.torch.keras import is_layer, training_of
from smokestep.backends.torch.kinds import kind_of, momentum_of, own_names_of, samples_of, statistics_of
from smokestep.backends.torch.lab.switch import dropping, hidden
from smokestep.evidence.modes import FunctionalDropout, Layer, Modes, ModuleKind, Run
from smokestep.findings import Line

Lined = Line | Callable[[], Line | None] | None

_ARGUMENTS = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum")  # of F.batch_norm
_OFF_BY_DEFAULT = {"alpha_dropout", "feature_alpha_dropout"}  # torch's own default: training=False


@dataclass(slots=True)
class _Ran:
    """What is kept of one module in one mode in one step."""

    line: Line | None
    ops: list[int]
    samples: int | None
    times: int = 1
    inside: nn.Module | None = None
    inside_training: bool = True


@dataclass(slots=True)
class _Kept:
    """What is kept of one module over the run: it holds the module, so that its id is not given to another."""

    module: nn.Module
    kind: ModuleKind
    seen: int | None
    trainable: set[str] = field(default_factory=set)
    affine: set[str] = field(default_factory=set)  # of the parameters, those handed to a function
    given: dict[int, torch.Tensor] = field(default_factory=dict)  # statistics handed to a function
    momentum: float | None = None
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
        self._functional: dict[int, _Kept] = {}
        self._functional_runs: dict[tuple[int, int, bool, bool], _Ran] = {}
        self._built: WeakKeyDictionary[nn.Module, Line | None] = WeakKeyDictionary()
        self._dropouts: list[tuple[int, Line | None, nn.Module | None, bool, bool, bool, bool, float]] = []
        self._switches: list[tuple[nn.Module, bool, Line | None]] = []
        self._steps: set[int] = set()

    def forget(self) -> None:
        """The training is built: forget what ran while it was, but not who called train() and eval()."""
        for log in (self._kept, self._runs, self._functional, self._functional_runs, self._dropouts, self._steps):
            log.clear()

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
        inside: nn.Module | None = None,
    ) -> None:
        """A module is about to run within another (forward pre-hook); `op_index` is that of the next operation."""
        kind = self._kind(module)
        if kind is None:
            if not root and not dropping(module):
                return
            kind = "root" if root else "dropout"
        training = training_of(module)
        ran = self._runs.get((id(module), step, training, grad))
        if ran is not None:
            ran.times += 1
            if ran.ops[-1] != op_index and len(ran.ops) < 16:  # enough to find one that reaches the loss
                ran.ops.append(op_index)
            return
        with torch._C.DisableTorchFunction():
            kept = self._keep(module, kind)
            kept.trainable.update(
                name for name, own in _own(module, "_parameters").items() if own is not None and own.requires_grad
            )
            if kept.before is None and step not in kept.moved:
                kept.before = _copies(module)
            samples = samples_of(module, kind, inputs)
        self._steps.add(step)
        around = inside is None or training_of(inside)
        self._runs[id(module), step, training, grad] = _Ran(_line(line), [op_index], samples, 1, inside, around)

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
                module is None or training_of(module),
                found is not None and guarded(found.file, found.line),
                float(probability),
            )
        )

    def normalized(
        self,
        step: int,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        module: nn.Module,
        line: Lined,
        grad: bool,
        op_index: int,
    ) -> None:
        """`F.batch_norm` was called by a module that is no normalization of torch's own: its mode is the argument's."""
        given = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
        mean, variance = given.get("running_mean"), given.get("running_var")
        if len(args) > 8 or not isinstance(mean, torch.Tensor) or not isinstance(variance, torch.Tensor):
            return  # torch.batch_norm takes its arguments in another order; without statistics there is nothing to keep
        training = bool(given.get("training", False))
        self._steps.add(step)
        with torch.no_grad(), torch._C.DisableTorchFunction():
            kept = self._functional.get(id(module))
            if kept is None:
                initial = bool((mean == 0).all()) and bool((variance == 1).all())
                kept = self._functional[id(module)] = _Kept(module, "batch_norm", 0 if initial else 1)
            affine = {id(given.get("weight")), id(given.get("bias"))}
            names = {name for name, own in module._parameters.items() if own is not None and id(own) in affine}
            kept.affine |= names
            kept.momentum = given.get("momentum", 0.1)
            kept.trainable |= {name for name in names if module._parameters[name].requires_grad}
            if id(mean) not in kept.given and step not in kept.moved:
                kept.before = (*(kept.before or ()), mean.clone(), variance.clone())
            kept.given.update({id(mean): mean, id(variance): variance})
            samples = samples_of(module, "batch_norm", (given.get("input"),))
        ran = self._functional_runs.get((id(module), step, training, grad))
        if ran is None:
            self._functional_runs[id(module), step, training, grad] = _Ran(_line(line), [op_index], samples)
        else:
            ran.times += 1

    def built(self, module: nn.Module, line: Line | None) -> None:
        """A normalization is constructed."""
        self._built[module] = line

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
                if kind is not None and statistics_of(module).get("running_mean") is not None:
                    self._keep(module, kind).before = _copies(module)

    def end(self, step: int) -> None:
        """A step ended: compare the running statistics, bit for bit, with those before it."""
        with torch._C.DisableTorchFunction():
            for kept in (*self._kept.values(), *self._functional.values()):
                if kept.before is not None:
                    after = tuple(kept.given.values()) or _statistics(kept.module)
                    kept.moved[step] = _differ(kept.before, after)
                    kept.before = None

    def finish(
        self,
        paths: Mapping[int, str],
        model_of: Callable[[str], str],
        reached: Callable[[int, int], bool],
        installed: Callable[[type], bool],
        named: Mapping[int, str] = MappingProxyType({}),
    ) -> Modes:
        """The evidence. Modules without a path (replicas, throw-aways) are left out."""
        count = max(self._steps, default=-1) + 1
        if self._steps:
            self.end(max(self._steps))  # a step that was cut short
        # a normalization by function is known by its calls: what is known of its module's own flag would mislead
        names = {key: paths[key] or _attribute(kept) for key, kept in self._functional.items() if key in paths}
        kinds = {key: kept for key, kept in self._kept.items() if key in paths}
        plain = {key: kept for key, kept in kinds.items() if not (key in names and kept.kind == "other")}
        layers = (
            *(_layer(kept, paths[key], self._built, count, model_of, installed, named) for key, kept in plain.items()),
            *(
                _layer(self._functional[key], path, self._built, count, model_of, installed, named)
                for key, path in names.items()
            ),
        )
        runs = (
            *(_run(key, ran, paths[key[0]], reached) for key, ran in self._runs.items() if key[0] in plain),
            *(_run(key, ran, names[key[0]], reached) for key, ran in self._functional_runs.items() if key[0] in names),
        )
        dropouts = tuple(
            FunctionalDropout(step, line, (paths[id(module)] or model_of("")) if id(module) in paths else "", *rest)
            for step, line, module, *rest in self._dropouts
        )
        dropouts += tuple(self._stray(paths, model_of))
        switches = tuple(
            (paths[id(module)], mode, line) for module, mode, line in self._switches if id(module) in paths
        )
        return Modes(layers, runs, dropouts, switches)

    def _stray(self, paths: Mapping[int, str], model_of: Callable[[str], str]) -> Iterator[FunctionalDropout]:
        """Dropout built where it is used: nothing switches it. What a model keeps, its own `train` may know."""
        for (key, step, training, _), ran in self._runs.items():
            kept = self._kept[key]
            lost = (
                kept.kind == "dropout"
                and key not in paths
                and not is_layer(kept.module)
                and not getattr(kept.module, "_is_replica", False)
            )
            lost = lost and training and id(ran.inside) in paths
            if lost and not any(each is kept.module for each, *_ in hidden(ran.inside)):
                at = ran.line and (ran.line.file, ran.line.line)
                told = not at or guarded(*at) or sets_mode(*at)
                where, probability = paths[id(ran.inside)] or model_of(""), dropping(kept.module)
                yield FunctionalDropout(step, ran.line, where, False, True, ran.inside_training, told, probability)

    def _kind(self, module: nn.Module) -> ModuleKind | None:
        try:
            kind = self._kinds[type(module)]
        except KeyError:
            kind = self._kinds[type(module)] = kind_of(module)
        # a normalization written by hand, by the names of its buffers (FrozenBatchNorm2d and its like)
        return "other" if kind is None and "running_mean" in _own(module, "_buffers") else kind

    def _keep(self, module: nn.Module, kind: ModuleKind) -> _Kept:
        if id(module) not in self._kept:
            self._kept[id(module)] = _Kept(module, kind, _seen(module))
        return self._kept[id(module)]


def _line(line: Lined) -> Line | None:
    return line() if callable(line) else line


def _own(module: nn.Module, kind: str) -> Mapping[str, torch.Tensor | None]:
    """Parameters or buffers of the module itself; a scripted one keeps them in a way of its own."""
    found = module.__dict__.get(kind)
    return found if isinstance(found, dict) else {}


def _statistics(module: nn.Module) -> tuple[torch.Tensor, ...]:
    """Its running statistics; none while a lazy module has not been shaped yet."""
    found = statistics_of(module).values()
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
    statistics = statistics_of(module)
    mean, variance = (statistics.get(name) for name in ("running_mean", "running_var"))
    if mean is None or variance is None:
        return None
    if nn.parameter.is_lazy(mean):
        return 0
    initial = bool((mean == 0).all()) and bool((variance == 1).all())
    counter = statistics.get("num_batches_tracked")
    counted = int(counter) if counter is not None else 0
    return counted if counted or initial else 1


def _layer(
    kept: _Kept,
    path: str,
    built: Mapping[nn.Module, Line | None],
    count: int,
    model_of: Callable[[str], str],
    installed: Callable[[type], bool],
    named: Mapping[int, str],
) -> Layer:
    module = kept.module
    prefix = f"{path}." if path and not (kept.given and path == _attribute(kept)) else ""
    if kept.given:  # to a function
        statistics = [name for name, buffer in module._buffers.items() if id(buffer) in kept.given]
    else:
        statistics = [name for name, own in statistics_of(module).items() if own is not None]
    own = [
        name
        for name, value in _own(module, "_parameters").items()
        if value is not None and kept.kind != "root" and (not kept.given or name in kept.affine)
    ]
    keeps = bool(kept.given) or "running_mean" in statistics
    affine, trainable = [prefix + name for name in own], [prefix + name for name in own if name in kept.trainable]
    if is_layer(module) and kept.kind != "root":
        affine, trainable = own_names_of(module, named)
    return Layer(
        path=path,
        kind=kept.kind,
        class_name=type(module).__name__,
        statistics=keeps,
        moved=tuple(kept.moved.get(step, False) for step in range(count)) if keeps else (),
        seen=kept.seen,
        momentum=kept.momentum if kept.given else momentum_of(module),
        probability=dropping(module) if kept.kind == "dropout" else None,
        affine=tuple(affine),
        trainable=tuple(trainable),
        model=model_of(path) or model_of(""),
        installed=installed(type(module)),
        built=built.get(module),
        statistics_names=tuple(prefix + name for name in statistics),
    )


def _attribute(kept: _Kept) -> str:
    """The name under which a module keeps the first statistics that it handed to a function."""
    return next((name for name, buffer in kept.module._buffers.items() if id(buffer) in kept.given), "batch_norm")


def _run(key: tuple[int, int, bool, bool], ran: _Ran, path: str, reached: Callable[[int, int], bool]) -> Run:
    _, step, training, grad = key
    return Run(step, path, training, grad, ran.times, any(reached(step, op) for op in ran.ops), ran.samples, ran.line)
