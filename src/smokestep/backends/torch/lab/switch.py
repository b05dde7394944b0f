"""Switch: puts a model into a mode as its user would, and sees which of its layers follow.

A method called `train` that does something else is not called: it would train.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from smokestep.backends.keras_objects import rate_of
from smokestep.backends.torch import frames, sources
from smokestep.backends.torch.naming import defined_in
from smokestep.evidence.switching import Override, Unreached

# what a parameter that holds the mode is called; in `train(self, loader)` it is called otherwise
MODES = frozenset("mode training train is_training is_train flag enable enabled value state b".split())


def put(module: nn.Module, training: bool) -> None:
    """Put a module and all below it into a mode, by its own `train` and `eval` where they do that."""
    if any(not switches(function) for _, _, function in overridden(module)):
        for each in module.modules():
            each.training = training
    elif training:
        module.train()
    else:
        module.eval()


@contextmanager
def switched(module: nn.Module, training: bool, modules: Iterable[nn.Module]) -> Iterator[None]:
    """A module in a mode; all `modules` are afterwards in the mode that they were in."""
    root, before = module.training, [(each, each.training) for each in modules]
    put(module, training)
    try:
        yield
    finally:
        if any(True for _ in overridden(module)):  # it may do more than set flags: merge weights, and take them apart
            put(module, root)
        for each, mode in before:
            if each.training is not mode:
                each.training = mode


def overridden(module: nn.Module) -> Iterator[tuple[nn.Module, str, FunctionType]]:
    """Every module at or below this one whose class has a `train` or `eval` of its own, with that function."""
    seen: set[tuple[type, str]] = set()
    for each in module.modules():
        for name in ("train", "eval"):
            function = inspect.getattr_static(type(each), name, None)
            own = isinstance(function, FunctionType) and frames.kind_of_file(function.__code__.co_filename)
            if own in (frames.USER, frames.INSTALLED) and (type(each), name) not in seen:
                seen.add((type(each), name))
                yield each, name, function


def switches(function: FunctionType) -> bool:
    """Whether a method's parameters are those of a switch: none, or a mode."""
    first, *rest = list(inspect.signature(function).parameters.values())[1:] or [None]
    if first is None or first.kind in (first.VAR_POSITIONAL, first.VAR_KEYWORD):
        return True
    needed = [each for each in rest if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    return not needed and (first.name in MODES or isinstance(first.default, bool))


def dropping(module: nn.Module) -> float:
    """The probability with which a layer drops values in training mode; a recurrent one drops between its layers."""
    if isinstance(module, nn.RNNBase):
        return float(module.dropout) if module.num_layers > 1 else 0.0
    return float(module.p) if isinstance(module, _DropoutNd) else rate_of(module)


def kind_of(module: nn.Module) -> Any:
    """In which way a layer behaves by its mode; "" if it does not."""
    if dropping(module):
        return "dropout"
    if isinstance(module, _NormBase):
        return "normalization" if module.running_mean is not None else ""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    return "own" if code is not None and defined_in(type(module)) and "training" in code.co_names else ""


def hidden(
    module: nn.Module, others: Iterable[nn.Module] = ()
) -> Iterator[tuple[nn.Module, str, nn.Module, str, str, int]]:
    """Modules kept where `modules()` does not find them: (it, name, its keeper, attribute, container, how many).

    What one of the `others` holds is not hidden: a model that lends a layer to another is switched itself.
    """
    known = {id(each) for model in (module, *others) for each in model.modules()}
    for path, keeper in module.named_modules():
        for key, value in list(vars(keeper).items()):
            if key in ("_parameters", "_buffers", "_modules") or key.startswith("__"):
                continue
            for each, name, container, beside in _modules_in(value, key, "attribute", 1):
                if id(each) not in known:
                    known.add(id(each))
                    yield each, f"{path}.{name}".lstrip("."), keeper, key, container, beside


def _modules_in(value: Any, name: str, box: str, beside: int, depth: int = 0) -> Iterator[tuple[Any, str, str, int]]:
    if isinstance(value, nn.Module):
        yield value, name, box, beside
    elif depth < 3 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _modules_in(each, f"{name}[{index}]", type(value).__name__, len(value), depth + 1)
    elif depth < 3 and isinstance(value, dict):
        for key, each in value.items():
            yield from _modules_in(each, f"{name}[{key!r}]", "dict", len(value), depth + 1)


class Ran:
    """Hears, while it is entered, which modules run in training mode: a forward may have set it just before."""

    def __init__(self) -> None:
        self.training: set[int] = set()
        self._handle: Any = None

    def __enter__(self) -> None:
        def entering(module: nn.Module, args: Any) -> None:
            if module.training:
                self.training.add(id(module))

        self._handle = nn.modules.module.register_module_forward_pre_hook(entering)

    def __exit__(self, *error: Any) -> None:
        self._handle.remove()


def unreached(apart: Sequence[Any], ran: set[int]) -> Iterator[Unreached]:
    """The hidden layers (`apart`, of `hidden`) that ran in training mode, the model being in the other."""
    for top, name, keeper, key, container, beside in apart:
        parameters = list(top.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            continue  # a teacher, whose modes are its own affair
        layers = [each for each in top.modules() if id(each) in ran and kind_of(each)]
        if layers and not lent(top):
            meant = any(each is keeper for each, _, _ in overridden(keeper))  # its own `train` or `eval` may want it so
            yield Unreached(
                name=name,
                class_name=type(layers[0]).__name__,
                kind=kind_of(layers[0]),
                holder=container,
                plain=not meant
                and kind_of(layers[0]) != "own"
                and container != "attribute"
                and (layers[0] is top or beside > 1),
                line=sources.built_at(type(keeper), key),
            )


def lent(layer: nn.Module) -> bool:
    """Whether some module that lives has the layer as its own: one around the model, which is never called itself."""
    return any(
        isinstance(own, dict)
        and any(
            (each.get("_modules") if type(each) is dict else getattr(each, "_modules", None)) is own
            for each in gc.get_referrers(own)
            if type(each) is dict or isinstance(each, nn.Module)
        )
        for own in gc.get_referrers(layer)
    )


def overrides(module: nn.Module) -> Iterator[Override]:
    """What the classes' own `train` and `eval` do, called on their own."""
    for each, name, function in list(overridden(module)):
        line = frames.line_of((function.__code__.co_filename, function.__code__.co_firstlineno))
        if not switches(function):
            yield Override(type(each).__name__, name, line, other=True)
            continue
        if any(not switches(own) for _, _, own in overridden(each)):
            continue
        layers = {key or type(each).__name__: layer for key, layer in each.named_modules() if kind_of(layer)}
        each.train(True)
        apart = {id(layer) for layer in each.modules() if not layer.training}  # a teacher that stays in evaluation mode
        for layer in each.modules():
            layer.training = id(layer) not in apart or name == "eval"
        answer = getattr(each, name)() if name == "eval" else each.train(False)
        stuck = tuple(key for key, layer in layers.items() if layer.training)
        for layer in each.modules():
            layer.training = False
        answer = answer if name == "eval" else each.train(True)
        trains = any(own.requires_grad for own in each.parameters())
        lost = tuple(layers) if name == "train" and trains and not any(m.training for m in each.modules()) else ()
        yield Override(type(each).__name__, name, line, returns=answer is each, stuck=stuck, lost=lost)
