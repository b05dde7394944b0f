"""Naming: which models there are, and what their modules, parameters and optimizers are called.

Names come from the user's own words: the names handed to `Training`, else the variables that hold the objects, else the
class. With one model, parameters have the names of `named_parameters()`; with several, the model's name comes first.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from smokestep.backends.living import objects, with_subclasses
from smokestep.backends.torch import frames

WRAPPERS = re.compile(r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.|$)")

KERAS = "_torch_params."  # under which Keras registers all variables of a model


class Words:
    """The variable names under which the user's code holds modules and optimizers, collected frame by frame."""

    def __init__(self, given: Mapping[int, str] | None = None) -> None:
        self.names: dict[int, str] = dict(given or {})
        self._keep: list[Any] = []

    def read(self, frame: FrameType | None) -> None:
        """Take the names from a frame of the user's: its locals, the attributes of its self, its globals."""
        if frame is None:
            return
        local = frame.f_locals
        owner = local.get("self")
        attributes = {} if owner is None or isinstance(owner, nn.Module) else getattr(owner, "__dict__", {})
        for names in (local, attributes, frame.f_globals):
            for name, value in list(names.items()):
                if name in ("self", "module") or name.startswith("_"):
                    continue
                if isinstance(value, (nn.Module, Optimizer)) and id(value) not in self.names:
                    self.names[id(value)] = name
                    self._keep.append(value)


def all_modules() -> list[nn.Module]:
    """Every module alive in the process."""
    return objects(with_subclasses([nn.Module]))


def all_optimizers() -> list[Optimizer]:
    """Every optimizer alive in the process."""
    return objects(with_subclasses([Optimizer]))


def children(module: nn.Module) -> Iterator[nn.Module]:
    """The direct submodules, also of a module that is only half built."""
    yield from (child for child in module.__dict__.get("_modules", {}).values() if child is not None)


class Models:
    """The top-most modules that the training uses, and every name below them."""

    def __init__(
        self, called: Iterable[nn.Module], held: Iterable[torch.Tensor], words: Words, given: Iterable[nn.Module]
    ) -> None:
        called = list(called)
        everything = all_modules()
        parents: dict[int, list[nn.Module]] = {}
        owners: dict[int, nn.Module] = {}
        for module in everything:
            for child in children(module):
                parents.setdefault(id(child), []).append(module)
            for own in module.__dict__.get("_parameters", {}).values():
                if own is not None:
                    owners.setdefault(id(own), module)
        given = list(given)
        wanted = [*given, *called, *(owners[id(each)] for each in held if id(each) in owners)]
        tops: dict[int, nn.Module] = {}
        for module in wanted:
            for top in (module,) if any(module is each for each in given) else _tops(module, parents):
                tops.setdefault(id(top), top)
        main = {id(each) for each in (*given, *called)}
        for aside in [each for top in tops.values() for each in _kept_aside(top)]:
            if id(aside) not in main:  # a layer in a plain list belongs to the model that keeps it
                tops.pop(id(aside), None)
        inside = {id(each) for top in tops.values() for each in top.modules() if each is not top}
        self.tops = [top for top in tops.values() if id(top) not in inside and any(True for _ in _tensors(top))]
        self.names: dict[int, str] = {}
        self.modules: dict[int, nn.Module] = {}
        self.paths: dict[int, str] = {}
        self.tensors: dict[int, torch.Tensor] = {}
        self.path_of_tensor: dict[int, str] = {}
        self.aliases: dict[int, list[str]] = {}
        self.owner: dict[int, nn.Module] = {}
        self.buffers: dict[int, str] = {}
        self.top_of: dict[int, str] = {}
        self._name_tops(words)
        for top in self.tops:
            self._walk(top, self.names[id(top)])

    def _name_tops(self, words: Words) -> None:
        taken: dict[str, int] = {}
        for top in self.tops:
            name = words.names.get(id(top)) or next(
                (
                    words.names[id(each)]
                    for each in children(top)
                    if len(self.tops) > 1
                    and id(each) in words.names
                    and type(top).__name__ in ("OptimizedModule", "DataParallel")
                ),
                type(top).__name__.lower(),
            )
            number = taken[name] = taken.get(name, 0) + 1
            self.names[id(top)] = name if number == 1 else f"{name}_{number}"

    def _walk(self, top: nn.Module, name: str) -> None:
        prefix = f"{name}." if len(self.tops) > 1 else ""
        for path, module in top.named_modules():
            path = WRAPPERS.sub("", path).lstrip(".")
            if id(module) in self.paths:
                continue
            self.modules[id(module)] = module
            self.paths[id(module)] = (prefix + path).rstrip(".") or (name if prefix else "")
            self.top_of[id(module)] = name
            base = f"{prefix}{path}." if path else prefix
            for key, own in module.__dict__.get("_parameters", {}).items():
                if own is None:
                    continue
                if id(own) in self.tensors:
                    self.aliases[id(own)].append(base + key)
                    continue
                self.tensors[id(own)] = own
                self.path_of_tensor[id(own)] = _of_keras(base + key, top) if KERAS in base else base + key
                self.owner[id(own)], self.aliases[id(own)] = module, []
            for key, own in module.__dict__.get("_buffers", {}).items():
                if own is not None:
                    self.buffers.setdefault(id(own), base + key)

        for layer in layers_below(top) if hasattr(top, "_flatten_layers") else ():
            if id(layer) not in self.paths:  # Keras keeps its layers in lists of its own
                self.modules[id(layer)], self.top_of[id(layer)] = layer, name
                self.paths[id(layer)] = prefix + str(layer.path or layer.name).removeprefix(f"{top.name}/").replace(
                    "/", "."
                )
                for variable in layer._trainable_variables:
                    if id(variable.value) in self.tensors:
                        self.owner[id(variable.value)] = layer

    def stray(self) -> Iterator[tuple[torch.Tensor, str, nn.Module, str]]:
        """Trainable tensors that a module keeps out of its parameters: (tensor, name, the module, container)."""
        known = set(self.tensors)
        for module in list(self.modules.values()):
            path = self.paths[id(module)]
            for key, value in module.__dict__.items():
                if key in ("_parameters", "_buffers", "_modules") or key.endswith("_hooks") or key.startswith("__"):
                    continue
                for tensor, name, container in _trainable_in(value, key):
                    if id(tensor) not in known:
                        known.add(id(tensor))
                        yield tensor, f"{path}.{name}".lstrip("."), module, container


def layers_below(top: Any) -> Iterator[Any]:
    """The layers of a model of Keras, but for itself."""
    yield from (each for each in top._flatten_layers(include_self=False) if isinstance(each, nn.Module))


def _of_keras(name: str, top: nn.Module) -> str:
    """The path of a variable that Keras keeps in one dictionary of parameters, with dots, without its model's name."""
    before, _, path = name.partition(KERAS)
    parts = path.split("/")
    own = parts[1:] if len(parts) > 1 and parts[0] == getattr(top, "name", None) else parts
    model = before.partition("_functional")[0]
    return model + ".".join(own)


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters and buffers of a module, and the trainable tensors it keeps aside."""
    yield from module.parameters()
    yield from module.buffers()
    yield from aside(module)


def aside(module: nn.Module) -> Iterator[torch.Tensor]:
    """The trainable tensors that a module keeps where `parameters()` does not find them."""
    for each in module.modules():
        for key, value in each.__dict__.items():
            if key not in ("_parameters", "_buffers", "_modules"):
                yield from (tensor for tensor, _, _ in _trainable_in(value, key))


def _kept_aside(top: nn.Module) -> Iterator[nn.Module]:
    """The modules that a model keeps in plain containers, where `modules()` does not find them."""
    for module in top.modules():
        for key, value in module.__dict__.items():
            if key not in ("_parameters", "_buffers", "_modules"):
                yield from _modules_in(value)


def _modules_in(value: Any, depth: int = 0) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module) and depth:
        yield value
    elif depth < 3 and isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _modules_in(each, depth + 1)


def _trainable_in(
    value: Any, name: str, container: str = "attribute", depth: int = 0
) -> Iterator[tuple[torch.Tensor, str, str]]:
    if isinstance(value, torch.Tensor):
        if value.requires_grad and value.is_leaf:
            yield value, name, container
    elif isinstance(value, nn.Module) and depth:
        for key, own in value.named_parameters():
            if own.requires_grad:
                yield own, f"{name}.{key}", container
    elif depth < 3 and isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _trainable_in(each, f"{name}[{index}]", type(value).__name__, depth + 1)
    elif depth < 3 and isinstance(value, dict):
        for key, each in value.items():
            yield from _trainable_in(each, f"{name}[{key!r}]", "dict", depth + 1)


def _tops(module: nn.Module, parents: Mapping[int, list[nn.Module]]) -> list[nn.Module]:
    """The top-most modules that contain this one."""
    found: dict[int, nn.Module] = {}
    stack, seen = [module], {id(module)}
    while stack:
        each = stack.pop()
        above = [parent for parent in parents.get(id(each), ()) if parent is not each]
        if not above:
            found[id(each)] = each
        for parent in above:
            if id(parent) not in seen:
                seen.add(id(parent))
                stack.append(parent)
    return list(found.values()) or [module]


@cache
def defined_in(kind: type) -> str | None:
    """The source file of a class of the user's or of an installed package; None for the framework's own.

    Asked of the methods' code first: a script's classes say `__main__`, which is another module once it has ended.
    """
    for member in vars(kind).values():
        code = getattr(inspect.unwrap(member), "__code__", None) if inspect.isfunction(member) else None
        if code is not None and not code.co_filename.startswith("<"):
            return code.co_filename if frames.kind_of_file(code.co_filename) != frames.SKIP else None
    try:
        name = inspect.getsourcefile(kind)
    except (TypeError, OSError):
        return None
    return name if name and frames.kind_of_file(name) != frames.SKIP else None


def installed(kind: type) -> bool:
    """Whether a class is defined in an installed package that is not the framework."""
    file = defined_in(kind)
    return file is not None and frames.kind_of_file(file) == frames.INSTALLED
