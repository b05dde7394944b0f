"""Leaves: every tensor, array and number that a training reaches, by name, to be read, compared and put in place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CellType
from typing import Any

import torch
from torch import nn

from smokestep.backends.torch.quiet import quiet
from smokestep.backends.torch.reach import Globals, attributes, followed, reachable
from smokestep.backends.torch.snapshot import same_bits

Tensor = torch.Tensor
ASIDE = frozenset("training _is_full_backward_hook _step_count _opt_called verbose".split())  # of the framework's own
MANY = 1000  # numbers in one list; more are data


@dataclass(frozen=True, slots=True)
class Leaf:
    """One of them: its value, and how to put another there. `keeper` holds it under `key`."""

    value: Any
    put: Callable[[Any], None]
    keeper: Any = None
    key: str = ""

    def copy(self) -> Any:
        """Its value, safe from later writes."""
        with quiet():
            return self.value.detach().clone() if isinstance(self.value, Tensor) else _copied(self.value)


def _copied(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else value.copy()


def leaves(root: Any) -> dict[str, Leaf]:
    """Those that `root` reaches."""
    found: dict[str, Leaf] = {}
    numpy = sys.modules.get("numpy")
    objects = reachable(root)
    keepers = {id(v): (t, k) for t in objects.values() for k, v in _fields(t) if not isinstance(v, (int, float))}
    for name, thing in objects.items():
        if isinstance(thing, Tensor):
            found[name] = Leaf(thing, _into(thing), *keepers.get(id(thing), (None, "")))
        elif numpy is not None and isinstance(thing, numpy.ndarray):
            found[name] = Leaf(
                thing, lambda new, at=thing: at.__setitem__(..., new), *keepers.get(id(thing), (None, ""))
            )
        else:
            for label, key, value, put in _numbers(name, thing):
                found.setdefault(label, Leaf(value, put, thing, key))
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal bit for bit."""
    if type(one) is not type(other) and not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    if isinstance(one, Tensor):
        with quiet():
            return same_bits(one.detach(), other.detach())
    if isinstance(one, (int, float)):
        return one == other or one != one
    return bool(one.dtype == other.dtype and one.tobytes() == other.tobytes())


def fits(one: Any, other: Any) -> bool:
    """Whether a value can be put in the place of another."""
    return not isinstance(one, Tensor) or (
        isinstance(other, Tensor) and one.shape == other.shape and one.dtype == other.dtype
    )


def _into(tensor: Tensor) -> Callable[[Any], None]:
    def put(new: Any) -> None:
        with quiet():
            tensor.data.copy_(new)

    return put


def _fields(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, nn.Module) or (
        not isinstance(thing, (Tensor, dict, list, tuple, Globals)) and followed(thing)
    ):
        yield from attributes(thing).items()


def _numbers(name: str, thing: Any) -> Iterator[tuple[str, str, Any, Callable[[Any], None]]]:
    if isinstance(thing, CellType):
        try:
            value = thing.cell_contents
        except ValueError:
            return
        if isinstance(value, (int, float)):
            yield name, "", value, lambda new: setattr(thing, "cell_contents", new)
    elif isinstance(thing, Globals):
        for key in thing.names:
            if isinstance(thing.namespace.get(key), (int, float)):
                yield key, key, thing.namespace[key], lambda new, key=key: thing.namespace.__setitem__(key, new)
    elif isinstance(thing, (dict, list)):
        if len(thing) <= MANY:
            for key, value in list(thing.items() if isinstance(thing, dict) else enumerate(thing)):
                if isinstance(value, (int, float)) and isinstance(key, (int, str)):
                    yield f"{name}[{key!r}]", str(key), value, lambda new, key=key: thing.__setitem__(key, new)
    else:
        for key, value in _fields(thing):
            if isinstance(value, (int, float)) and key not in ASIDE:
                label = f"{name}.{key}".lstrip(".")
                yield label, key, value, lambda new, key=key: object.__setattr__(thing, key, new)
