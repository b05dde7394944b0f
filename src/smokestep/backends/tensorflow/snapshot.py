"""Snapshot: the variables of the living objects, copied, put back in place, and compared bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from smokestep.backends.keras_objects import put_back


@dataclass(slots=True)
class Changes:
    """The names of what is not as it was after all; filled when the block ends."""

    names: tuple[str, ...] = ()


@contextmanager
def preserved(living: Mapping[str, list[Any]]) -> Iterator[Changes]:
    """Put back, at the end of the block and also when it raises, every variable among the living objects."""
    changes = Changes()
    before = [(each, _value(each)) for each in living["variable"]]
    flags = [(each, bool(each._trainable)) for each in living["keras"]]
    # one without: its `__init__` raised
    unbuilt = [put_back(e) for e in (*living["optimizer"], *living["layer"]) if not getattr(e, "built", True)]
    functions = [(each, each.__dict__.get("train_function")) for each in living["trainer"]]
    try:
        yield changes
    finally:
        for variable, value in before:
            now = _value(variable)
            if value is not None and now is not None and not _same(now, value):
                variable.assign(value)
        for each, flag in flags:
            if bool(each._trainable) != flag:
                each.trainable = flag
        for put in unbuilt:
            put()
        for trainer, function in functions:
            if trainer.__dict__.get("train_function") is not function:
                trainer.__dict__["train_function"] = function
        changes.names = tuple(
            str(each.name) for each, value in before if value is not None and not _same(_value(each), value)
        )


def _value(variable: Any) -> Any:
    try:
        return np.array(variable.numpy())
    except Exception:
        return None


def _same(one: Any, other: Any) -> bool:
    return one is not None and one.shape == other.shape and one.tobytes() == other.tobytes()
