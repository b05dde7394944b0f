"""Keras on torch: its optimizers, told as torch's are, and the mode that a layer of Keras is really called in.

Nothing of Keras is imported here: it is listened to once the user's code has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from smokestep.backends.imports import once_imported
from smokestep.backends.keras_objects import gathers, kind_by_class
from smokestep.backends.torch import keras_functions
from smokestep.backends.torch.quiet import guarded, quiet

MODULE = "keras.src.optimizers.base_optimizer"


class Stand:
    """Stands for an optimizer of Keras: what it holds and with which settings, in torch's words."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.param_groups: list[dict[str, Any]] = [{"params": []}]
        self.state: dict[str, Any] = {}

    def renew(self, variables: list[Any]) -> None:
        """Read what it holds and its settings, before an update."""
        own, (group,) = self.optimizer, self.param_groups
        held = {id(each): each for each in (*group["params"], *map(_tensor, variables))}
        held.update({id(each): each for each in map(_tensor, getattr(own, "_trainable_variables", ()))})
        group.update(params=list(held.values()), lr=_number(own.learning_rate))
        group.update(weight_decay=_number(getattr(own, "weight_decay", None)), momentum=getattr(own, "momentum", None))
        if hasattr(own, "beta_1") and hasattr(own, "beta_2"):
            group["betas"] = (float(own.beta_1), float(own.beta_2))
        if group["momentum"] or type(own).__name__ != "SGD":
            self.state = {"slots": {"kept": True}}


def is_layer(module: Any) -> bool:
    """Whether a module is a layer of Keras."""
    return hasattr(module, "_call_has_training_arg") and hasattr(module, "torch_params")


def training_of(module: Any) -> bool:
    """The mode a module runs in: a layer of Keras is told in each call, and torch's flag says nothing of it."""
    if not is_layer(module):
        return module.training
    state = sys.modules["keras.src.backend.common.global_state"]
    context = state.get_global_attribute("current_call_ctx")
    told = context.get_value("training") if context is not None else None
    frozen = kind_by_class(type(module)) == "batch_norm" and not module.trainable
    return bool(told) and not frozen  # Keras lets a frozen one run in inference mode, whatever it is told


def listen(stack: ExitStack, patch: Callable[..., None], recorder: Any) -> None:
    """Tell the recorder of the updates of Keras's optimizers."""
    tracer, stands = recorder.tracer, dict[int, Stand]()

    def standing(optimizer: Any, variables: Any) -> Stand | None:
        if tracer.paused:
            return None
        stand = stands.get(id(optimizer))
        if stand is None:
            kind = type(type(optimizer).__name__, (Stand,), {})
            stand = stands[id(optimizer)] = kind(optimizer)
        with quiet():
            stand.renew(variables)
        return stand

    def gathered(stand: Stand) -> None:
        with quiet():
            recorder.optimizers.setdefault(id(stand), stand)
            recorder.book.add(stand.param_groups[0]["params"])
            recorder._used(stand)

    def apply(original: Any, optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
        given = list(grads)
        variables = None if trainable_variables is None else list(trainable_variables)
        stand = guarded(tracer, standing)(optimizer, variables or [])
        if stand is None:
            return original(optimizer, given, variables)
        if gathers(optimizer):
            guarded(tracer, gathered)(stand)
            return original(optimizer, given, variables)
        guarded(tracer, recorder.updating)(stand, (stand,), {})
        result = original(optimizer, given, variables)
        guarded(tracer, recorder.updated)(stand, (stand,), {})
        recorder.pause()
        return result

    def late() -> None:
        patch(stack, sys.modules[MODULE].BaseOptimizer, "apply", apply)
        keras_functions.listen(stack, patch, tracer)

    spec = getattr(sys.modules.get(MODULE), "__spec__", None)
    if spec is not None and not getattr(spec, "_initializing", False):
        late()
    else:
        stack.enter_context(once_imported(MODULE, late))


def _tensor(variable: Any) -> torch.Tensor:
    return getattr(variable, "value", variable)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
