"""Alive: the variables, layers, optimizers and trainers that exist, found in one walk over the living objects."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tensorflow.python.ops import resource_variable_ops

from smokestep.backends.living import objects, with_subclasses


def imported(name: str) -> bool:
    """Whether a module is imported, and not just being so: Keras imports TensorFlow before it is whole."""
    module = sys.modules.get(name)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def alive() -> Mapping[str, list[Any]]:
    """By kind ("variable", "keras", "optimizer", "layer", "trainer"): classes are asked, as there are many objects."""
    wanted: dict[str, type] = {"variable": resource_variable_ops.BaseResourceVariable}
    if imported("keras"):
        from keras.src.backend.common.variables import Variable
        from keras.src.layers.layer import Layer
        from keras.src.optimizers.base_optimizer import BaseOptimizer
        from keras.src.trainers.trainer import Trainer

        wanted.update(keras=Variable, optimizer=BaseOptimizer, layer=Layer, trainer=Trainer)
    found: dict[str, list[Any]] = {name: [] for name in ("variable", "keras", "optimizer", "layer", "trainer")}
    kinds = {kind: tuple(name for name, base in wanted.items() if base in type.mro(kind))
             for kind in with_subclasses(wanted.values())}  # fmt: skip
    for each in objects(kinds):
        for name in kinds[type(each)]:
            found[name].append(each)
    return found
