"""Kinds: which modules care for their mode, torch's and those of Keras, and what each of them keeps."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from smokestep.backends.keras_objects import kind_by_class, samples_by_axis
from smokestep.backends.torch.keras import is_layer
from smokestep.backends.torch.trace import shape_of
from smokestep.evidence.modes import ModuleKind

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_KERAS = {"running_mean": "moving_mean", "running_var": "moving_variance"}
_KINDS: tuple[tuple[tuple[type, ...], ModuleKind], ...] = (
    ((_BatchNorm,), "batch_norm"),
    ((_InstanceNorm,), "instance_norm"),
    ((nn.LayerNorm, *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ())), "layer_norm"),
    ((nn.GroupNorm,), "group_norm"),
    ((_DropoutNd,), "dropout"),
    ((_NormBase,), "other"),
)


def kind_of(module: nn.Module) -> ModuleKind | None:
    """What sort of mode-sensitive module it is, None for others."""
    if is_layer(module):
        return kind_by_class(type(module))
    return next((kind for classes, kind in _KINDS if isinstance(module, classes)), None)


def statistics_of(module: nn.Module) -> Mapping[str, torch.Tensor | None]:
    """Its running statistics, by torch's names for them."""
    if is_layer(module):
        found = {name: getattr(module, own, None) for name, own in _KERAS.items()}
        return {name: each.value for name, each in found.items() if each is not None}
    buffers = module.__dict__.get("_buffers")  # a scripted module keeps them in a way of its own
    return {name: buffers.get(name) for name in STATISTICS} if isinstance(buffers, dict) else {}


def momentum_of(module: nn.Module) -> float | None:
    """The weight of a new batch in the running statistics; Keras says that of the old ones."""
    momentum = getattr(module, "momentum", None)
    return 1.0 - momentum if is_layer(module) and isinstance(momentum, float) else momentum


def own_names_of(layer: Any, named: Mapping[int, str]) -> tuple[list[str], list[str]]:
    """The names of the variables that a layer of Keras itself trains, and of those that are not frozen."""
    own = [(each, named.get(id(each.value), each.path)) for each in getattr(layer, "_trainable_variables", ())]
    return [name for _, name in own], [name for each, name in own if each.trainable]


def samples_of(module: nn.Module, kind: ModuleKind, inputs: tuple[Any, ...]) -> int | None:
    """How many values one mean is taken over; None where other processes add theirs or the input is no tensor."""
    given = inputs[0] if inputs else None
    if not isinstance(given, torch.Tensor) or isinstance(module, nn.SyncBatchNorm):
        return None
    shape = shape_of(given)
    if is_layer(module):
        return samples_by_axis(module, kind, shape)
    if kind == "batch_norm" and len(shape) > 1:
        return shape[0] * prod(shape[2:])
    if kind == "layer_norm":
        return prod(getattr(module, "normalized_shape", shape[-1:]) or ())
    if kind == "group_norm" and len(shape) > 1:
        return shape[1] // max(1, int(getattr(module, "num_groups", 1))) * prod(shape[2:])
    if kind == "instance_norm":
        channels_first = len(shape) - {"InstanceNorm1d": 1, "InstanceNorm2d": 2, "InstanceNorm3d": 3}.get(
            next((each.__name__ for each in type(module).__mro__ if each.__name__.startswith("InstanceNorm")), ""), 1
        )
        return prod(shape[channels_first:])
    return None
