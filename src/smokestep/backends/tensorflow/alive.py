"""Alive: the variables, layers, optimizers and trainers that exist, found in one walk over the living objects."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import Any

from tensorflow.python.ops import resource_variable_ops


def imported(name: str) -> bool:
    """Whether a module is imported, and not just being so: Keras imports TensorFlow before it is whole."""
    module = sys.modules.get(name)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def alive() -> Mapping[str, list[Any]]:
    """By kind ("variable", "keras", "optimizer", "layer", "trainer"); each class is asked once, as there are many."""
    wanted: dict[str, type] = {"variable": resource_variable_ops.BaseResourceVariable}
    if imported("keras"):
        from keras.src.backend.common.variables import Variable
        from keras.src.layers.layer import Layer
        from keras.src.optimizers.base_optimizer import BaseOptimizer
        from keras.src.trainers.trainer import Trainer

        wanted.update(keras=Variable, optimizer=BaseOptimizer, layer=Layer, trainer=Trainer)
    found: dict[str, list[Any]] = {name: [] for name in ("variable", "keras", "optimizer", "layer", "trainer")}
    kinds: dict[type, tuple[str, ...]] = {}
    for each in gc.get_objects():
        known = kinds.get(type(each))
        if known is None:
            mro = type.mro(type(each)) if type(each) is not type else []
            known = kinds[type(each)] = tuple(name for name, kind in wanted.items() if kind in mro)
        for name in known:
            found[name].append(each)
    return found
