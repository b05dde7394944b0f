"""Snapshot: the variables of the living objects, copied, put back in place, and compared bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


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
    unbuilt = [_attributes(each) for each in (*living["optimizer"], *living["layer"])
               if not getattr(each, "built", True)]  # one without: its `__init__` raised  # fmt: skip
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


def _attributes(thing: Any) -> Callable[[], None]:
    """Puts back the attributes of what is not built yet, and what its own containers hold: then it is so again."""
    owned = vars(thing)
    kept = dict(owned)
    held = [(value, list(value)) for value in owned.values() if isinstance(value, list)]
    named = [(value, dict(value)) for value in owned.values() if isinstance(value, dict)]
    tracker = owned.get("_tracker")
    ids = {key: set(each) for key, each in tracker.stored_ids.items()} if tracker is not None else {}
    locked = getattr(tracker, "locked", False)

    def put() -> None:
        if owned == kept and not getattr(thing, "built", False):
            return
        owned.clear()
        owned.update(kept)
        for value, before in held:
            for plain in (value, getattr(value, "_storage", None)):  # what TensorFlow wraps for its checkpoints
                if isinstance(plain, list):
                    list.__setitem__(plain, slice(None), before)
        for value, before in named:
            plain = getattr(value, "__wrapped__", value)
            dict.clear(plain)
            dict.update(plain, before)
        if tracker is not None:
            tracker.stored_ids.update(ids)
            tracker.locked = locked

    return put


def _value(variable: Any) -> Any:
    try:
        return np.array(variable.numpy())
    except Exception:
        return None


def _same(one: Any, other: Any) -> bool:
    return one is not None and one.shape == other.shape and one.tobytes() == other.tobytes()
