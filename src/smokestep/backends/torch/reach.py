"""Reach: every object that a training's functions can change, by the name a reader of the script would use.

Followed are closures, the globals a function names, bound objects, containers and attributes; not followed are modules,
classes and the insides of the standard library.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.frames import USER, kind_of_file
from smokestep.training import Training

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, ModuleType, CodeType, BuiltinFunctionType)
_ATOMS += (torch.dtype, torch.device, torch.layout, torch.memory_format, range, slice)
_CONTAINERS = (list, tuple, set, frozenset, deque)
_LIMIT = 50_000  # objects; a dataset held as a list of tensors must not take minutes


@dataclass(frozen=True, slots=True)
class Globals:
    """The names that a function uses in its module's namespace: they can be bound anew."""

    namespace: dict[str, Any]
    names: tuple[str, ...]


def reachable(*roots: Any) -> dict[str, Any]:
    """What `roots` (trainings, functions, anything) can reach, nearest first, by name; atoms are left out."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    names: dict[int, str] = {}
    queue: deque[tuple[str, Any]] = deque()

    def enqueue(name: str, thing: Any) -> None:
        if not isinstance(thing, _ATOMS) and id(thing) not in seen:
            seen.add(id(thing))
            names[id(thing)] = name
            (queue.appendleft if isinstance(thing, nn.Module) else queue.append)((name, thing))  # for plain names

    for root in roots:
        enqueue("", root)
    while queue and len(found) < _LIMIT:
        name, thing = queue.popleft()
        unique = name if name not in found else f"{name} ({len(found)})"
        found[unique] = thing
        for child, value in _children(name, thing, names):
            enqueue(child, value)
    return found


def _children(name: str, thing: Any, names: dict[int, str]) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, torch.Tensor):
        return
    if isinstance(thing, Training):
        for word in ("model", "optimizer", "steps"):
            yield from ((key or word, value) for key, value in getattr(thing, word).items())
        yield from ((word, getattr(thing, word)) for word in ("loss", "forward", "batch", "trains", "untouched"))
    elif isinstance(thing, FunctionType):
        yield from _of_function(name, thing)
    elif isinstance(thing, CellType):
        try:
            yield name.removesuffix("'s cell"), thing.cell_contents
        except ValueError:  # not assigned yet
            return
    elif isinstance(thing, Globals):
        for each in thing.names:
            value = thing.namespace.get(each)
            if not isinstance(value, ModuleType):
                yield each, value
            elif kind_of_file(getattr(value, "__file__", None) or "<none>") == USER:
                yield each, Globals(vars(value), tuple(word for word in thing.names if word in vars(value)))
    elif isinstance(thing, MethodType):
        yield name or "self", thing.__self__
        yield name, thing.__func__
    elif isinstance(thing, functools.partial):
        yield from ((name, thing.func), (name, thing.args), (name, thing.keywords))
    elif isinstance(thing, dict):
        for key, value in thing.items():
            label = repr(key) if isinstance(key, (str, int)) else names.get(id(key), type(key).__name__)
            yield f"{name}[{label}]", key
            yield f"{name}[{label}]" if name else str(key), value
    elif isinstance(thing, _CONTAINERS):
        for index, value in enumerate(thing):
            yield f"{name}[{index}]", value
    elif isinstance(thing, nn.Module):
        for held in ("_parameters", "_buffers", "_modules"):
            for key, value in getattr(thing, held).items():
                yield f"{name}.{key}" if name else key, value
        yield from ((f"{name}.{key}" if name else key, value) for key, value in vars(thing).items())
    elif followed(thing):
        yield from ((f"{name}.{key}" if name else key, value) for key, value in attributes(thing).items())


def _of_function(name: str, function: FunctionType) -> Iterator[tuple[str, Any]]:
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f"{variable}'s cell", cell
    yield from ((f"{name}'s defaults", function.__defaults__), (f"{name}'s defaults", function.__kwdefaults__))
    if kind_of_file(function.__code__.co_filename) == USER:
        named = tuple(dict.fromkeys(_names(function.__code__)))
        yield f"{function.__name__}'s globals", Globals(function.__globals__, named)
    yield from ((f"{name}.{key}", value) for key, value in vars(function).items())


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def followed(thing: Any) -> bool:
    """Whether an object's attributes are the training's own. Not those of the standard library's and NumPy's objects,
    and not those of a library's iterator, whose other half may be a queue or a process."""
    package = type(thing).__module__.partition(".")[0]
    if isinstance(thing, SimpleNamespace) or package == "__main__":
        return True
    foreign = package in sys.stdlib_module_names or package in ("builtins", "numpy")
    return not foreign and not (hasattr(type(thing), "__next__") and not _of_the_user(type(thing)))


def _of_the_user(kind: type) -> bool:
    return kind_of_file(getattr(sys.modules.get(kind.__module__), "__file__", None) or "<none>") == USER


def attributes(thing: Any) -> dict[str, Any]:
    """An object's own attributes, those in slots too; a property is not called."""
    found = dict(getattr(thing, "__dict__", {}))
    for owner in type(thing).__mro__:
        slots = vars(owner).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and not isinstance(vars(owner).get(slot), property):
                try:
                    found[slot] = object.__getattribute__(thing, slot)
                except AttributeError:
                    continue
    return found
