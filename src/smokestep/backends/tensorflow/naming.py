"""Naming: which models there are, and what their layers, variables and optimizers are called.

A variable has the path that Keras gives it, with dots, without the name of its model; where there are several models,
the name under which the user's code holds the model comes first.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from smokestep.backends.tensorflow import frames
from smokestep.backends.tensorflow.places import Place


class Models:
    """The root models that the training uses, and every name below them."""

    def __init__(self, roots: Iterable[Any], words: Mapping[int, str], places: Iterable[Place]) -> None:
        roots = [each for each in {id(each): each for each in roots}.values() if hasattr(each, "weights")]
        inside = {id(layer) for root in roots for layer in layers_of(root) if layer is not root}
        self.tops = [each for each in roots if id(each) not in inside and each.weights] or [
            each for each in roots if id(each) not in inside
        ]
        self.names: dict[int, str] = {}
        self.paths: dict[int, str] = {}  # of layers
        self.top_of: dict[int, str] = {}
        self.owner: dict[int, Any] = {}  # layer of a tf.Variable
        self.path_of: dict[int, str] = {}  # of tf.Variables that are parameters
        self.buffers: dict[int, str] = {}
        self.keras: dict[int, Any] = {}
        taken: dict[str, int] = {}
        for top in self.tops:
            name = words.get(id(top)) or str(getattr(top, "name", "") or type(top).__name__.lower())
            number = taken[name] = taken.get(name, 0) + 1
            self.names[id(top)] = name if number == 1 else f"{name}_{number}"
        for top in self.tops:
            self._walk(top)

    def _walk(self, top: Any) -> None:
        name = self.names[id(top)]
        prefix = f"{name}." if len(self.tops) > 1 else ""
        own = str(getattr(top, "name", ""))
        seen: set[str] = set(self.path_of.values()) | set(self.buffers.values())
        for layer in layers_of(top):
            if id(layer) in self.paths:
                continue
            path = "" if layer is top else _unprefixed(str(getattr(layer, "path", None) or layer.name), own)
            self.paths[id(layer)] = (prefix + path).rstrip(".") or (name if prefix else "")
            self.top_of[id(layer)] = name
            for variable in own_variables(layer):
                plain = getattr(variable, "_value", variable)
                if plain is None or id(plain) in self.owner:
                    continue
                full = _unprefixed(str(getattr(variable, "path", getattr(variable, "name", "variable"))), own)
                full = base = prefix + full.removesuffix(":0")
                number = 1
                while full in seen:
                    number += 1
                    full = f"{base}_{number}"
                seen.add(full)
                self.owner[id(plain)], self.keras[id(plain)] = layer, variable
                trains = any(variable is each for each in getattr(layer, "_trainable_variables", ()))
                (self.path_of if trains or layer is None else self.buffers)[id(plain)] = full


def layers_of(top: Any) -> Iterator[Any]:
    """A model and every layer in it."""
    flatten = getattr(top, "_flatten_layers", None)
    yield from flatten() if flatten is not None else (top,)


def own_variables(layer: Any) -> Iterator[Any]:
    """The variables of a layer itself."""
    yield from getattr(layer, "_trainable_variables", ())
    yield from getattr(layer, "_non_trainable_variables", ())
    yield from (each.state for each in getattr(layer, "_seed_generators", ()) if hasattr(each, "state"))


def _unprefixed(path: str, top: str) -> str:
    parts = path.split("/")
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == top else parts)


def containers(top: Any) -> Iterator[tuple[Any, Any, str, str]]:
    """The layers and variables that a model keeps untracked: (layer, keeper, attribute, container)."""
    tracked = {id(layer) for layer in layers_of(top)}
    for layer in list(layers_of(top)):
        for key, value in list(vars(layer).items()):
            if key.startswith("_") or id(value) in tracked:
                continue
            for found, container in _within(value, 0, "attribute"):
                if id(found) not in tracked:
                    yield found, layer, key, container


def _within(value: Any, depth: int, container: str) -> Iterator[tuple[Any, str]]:
    if hasattr(value, "trainable_variables") and hasattr(value, "call"):
        yield value, container
    elif type(value).__name__ in ("Variable", "ResourceVariable"):
        yield value, container
    elif depth < 3 and isinstance(value, (list, tuple, set)):
        for each in value:
            yield from _within(each, depth + 1, "list" if isinstance(value, list) else "tuple")
    elif depth < 3 and isinstance(value, Mapping):
        for each in value.values():
            yield from _within(each, depth + 1, "dict")
    elif depth < 3 and hasattr(value, "__dict__") and not callable(value) and not inspect.ismodule(value):
        module = type(value).__module__
        if not module.startswith(("keras", "tensorflow", "numpy")):
            for each in vars(value).values():
                yield from _within(each, depth + 1, container)


@cache
def defined_in(kind: type) -> str | None:
    """The source file of a class of the user's or of an installed package; None for the framework's own."""
    for member in vars(kind).values():
        code = getattr(inspect.unwrap(member), "__code__", None) if inspect.isfunction(member) else None
        if code is not None and not code.co_filename.startswith("<"):
            return code.co_filename if frames.kind_of_file(code.co_filename) != frames.SKIP else None
    return None


def installed(kind: type) -> bool:
    """Whether a class is defined in an installed package that is not the framework."""
    file = defined_in(kind)
    return file is not None and frames.kind_of_file(file) == frames.INSTALLED
