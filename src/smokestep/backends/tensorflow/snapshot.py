"""Snapshot: the variables of the living objects, copied, put back in place, and compared bit for bit."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.python.ops import resource_variable_ops


@dataclass(slots=True)
class Changes:
    """The names of what is not as it was after all; filled when the block ends."""

    names: tuple[str, ...] = ()


@contextmanager
def preserved() -> Iterator[Changes]:
    """Put back, at the end of the block and also when it raises, every variable that is alive when it begins."""
    changes = Changes()
    variables = _alive()
    before = [(each, _value(each)) for each in variables]
    flags = [(each, bool(each._trainable)) for each in _keras("Variable")]
    unbuilt = [_attributes(each) for each in (*_keras("Optimizer"), *_keras("Layer")) if not each.built]
    functions = [(each, each.__dict__.get("train_function")) for each in _keras("Trainer")]
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


def _alive() -> list[Any]:
    return [each for each in gc.get_objects() if isinstance(each, resource_variable_ops.BaseResourceVariable)]


def _keras(kind: str) -> list[Any]:
    if "keras" not in sys.modules:
        return []
    from keras.src.backend.common.variables import Variable
    from keras.src.layers.layer import Layer
    from keras.src.optimizers.base_optimizer import BaseOptimizer
    from keras.src.trainers.trainer import Trainer

    wanted = {"Variable": Variable, "Optimizer": BaseOptimizer, "Trainer": Trainer, "Layer": Layer}[kind]
    return [each for each in gc.get_objects() if isinstance(each, wanted)]


def _value(variable: Any) -> Any:
    try:
        return np.array(variable.numpy())
    except Exception:
        return None


def _same(one: Any, other: Any) -> bool:
    return one is not None and one.shape == other.shape and one.tobytes() == other.tobytes()
