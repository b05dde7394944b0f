"""Snapshot: what a step can change in place, kept before the run and put back after it.

Arrays never change; what changes is which array a variable, an attribute, a dictionary or an NNX variable holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from smokestep.backends.jax import keras, trees
from smokestep.backends.keras_objects import put_back


@contextmanager
def preserved(roots: list[Any], holders: list[trees.Holder]) -> Iterator[list[str]]:
    """Put everything back at the end of the block; the value then names what could not be."""
    lost: list[str] = []
    back: list[tuple[str, Callable[[], None]]] = []
    seen: set[int] = set()
    for holder in holders:
        value = holder.read()
        back.append((holder.name, lambda holder=holder, value=value: _held(holder, value)))
        _keep(value, holder.name, back, seen, 0)
    for root in roots:
        _keep(root, type(root).__name__, back, seen, 0)
    try:
        yield lost
    finally:
        for name, put in reversed(back):
            try:
                put()
            except Exception:
                lost.append(name)


def _held(holder: trees.Holder, value: Any) -> None:
    if holder.read() is not value:
        holder.write(value)


def _keep(value: Any, name: str, back: list[tuple[str, Callable[[], None]]], seen: set[int], depth: int) -> None:
    if value is None or isinstance(value, (str, bytes, int, float, bool, jax.Array)) or depth > trees.DEEP:
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if value.flags.writeable and value.size <= 1 << 24:
            copy = value.copy()
            back.append((name, lambda: None if _equal(value, copy) else np.copyto(value, copy)))
        return
    if isinstance(value, dict):
        content = dict(value)
        back.append((name, lambda: _refill(value, content)))
        for each in content.values():
            _keep(each, name, back, seen, depth + 1)
    elif isinstance(value, list):
        items = list(value)
        back.append((name, lambda: value.__setitem__(slice(None), items)))
        for each in items:
            _keep(each, name, back, seen, depth + 1)
    elif isinstance(value, tuple):
        for each in value:
            _keep(each, name, back, seen, depth + 1)
    elif trees.is_living(value) and hasattr(type(value), "set_raw_value"):
        raw = value.get_raw_value()
        back.append((name, lambda: None if value.get_raw_value() is raw else value.set_raw_value(raw)))
    elif trees.is_keras(value):
        states, unbuilt = keras.states(value), [put_back(each) for each in keras.unbuilt(value)]
        back.append((name, lambda: _restore(states, unbuilt)))
    elif trees.is_living(value) and hasattr(value, "__dict__"):
        own = dict(vars(value))
        back.append((name, lambda: _refill(vars(value), own)))
        for each in own.values():
            _keep(each, name, back, seen, depth + 1)


def _restore(states: dict[int, tuple[Any, Any]], unbuilt: list[Callable[[], None]]) -> None:
    """Give every variable its array back, and make unbuilt what was so."""
    for variable, array in states.values():
        if variable._value is not array:
            variable._value = array
    for put in unbuilt:
        put()


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


def _refill(content: Any, kept: dict[Any, Any]) -> None:
    """Give a dictionary its entries back, if it has others."""
    if len(content) == len(kept) and all(content.get(key) is each for key, each in kept.items()):
        return
    for key in list(content):
        if key not in kept:
            del content[key]
    content.update(kept)
