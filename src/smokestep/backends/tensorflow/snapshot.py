"""Snapshot: the variables of the living objects, copied, put back in place, and compared bit for bit."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
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
    built = [(each, each.built) for each in _keras("Optimizer")]
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
        for trainer, function in functions:
            if trainer.__dict__.get("train_function") is not function:
                trainer.train_function = function
        changes.names = (
            *(str(each.name) for each, value in before if value is not None and not _same(_value(each), value)),
            *(f"{each.name} (its variables were made)" for each, was in built if each.built != was),
        )


def _alive() -> list[Any]:
    return [each for each in gc.get_objects() if isinstance(each, resource_variable_ops.BaseResourceVariable)]


def _keras(kind: str) -> list[Any]:
    if "keras" not in sys.modules:
        return []
    from keras.src.backend.common.variables import Variable
    from keras.src.optimizers.base_optimizer import BaseOptimizer
    from keras.src.trainers.trainer import Trainer

    wanted = {"Variable": Variable, "Optimizer": BaseOptimizer, "Trainer": Trainer}[kind]
    return [each for each in gc.get_objects() if isinstance(each, wanted)]


def _value(variable: Any) -> Any:
    try:
        return np.array(variable.numpy())
    except Exception:
        return None


def _same(one: Any, other: Any) -> bool:
    return one is not None and one.shape == other.shape and one.tobytes() == other.tobytes()
