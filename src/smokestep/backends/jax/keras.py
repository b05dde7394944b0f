"""Keras on JAX: its models and optimizers as trees of arrays, by the names that Keras gives to their variables.

Nothing of Keras is imported here. A variable holds one array at a time, so what a step left is read from it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

STATISTICS = ("moving_mean", "moving_variance")


def is_model(value: Any) -> bool:
    """Whether an object is a layer or a model of Keras."""
    return hasattr(value, "trainable_variables") and hasattr(value, "non_trainable_variables") and _of_keras(value)


def is_optimizer(value: Any) -> bool:
    """Whether an object is an optimizer of Keras."""
    return hasattr(value, "stateless_apply") and _of_keras(value)


def _of_keras(value: Any) -> bool:
    return any(each.__module__.partition(".")[0] == "keras" for each in type(value).__mro__)


def optimizer_of(value: Any) -> Any:
    """The optimizer itself, or the one a model is compiled with."""
    return value if is_optimizer(value) else getattr(value, "optimizer", None)


def variables(value: Any) -> Iterator[tuple[str, str, Any, bool]]:
    """Of a model or an optimizer: the name of each variable, what it is for, the variable, if an optimizer's."""
    if is_model(value):
        trained = {id(each) for each in value.trainable_variables}
        for each in value.variables:
            yield shown(each, value), _role(each, id(each) in trained), each, False
        for metric in getattr(value, "metrics_variables", ()):
            yield f"metrics.{metric.path}", "other", metric, False
    optimizer = optimizer_of(value)
    if optimizer is None or not is_optimizer(optimizer):
        return
    owners = {each.path.replace("/", "_"): each for each in getattr(optimizer, "_trainable_variables", ())}
    for each in optimizer.variables:
        name = each.path.rpartition("/")[2]
        owner = next((o for key, o in owners.items() if name.startswith(f"{key}_")), None)
        yield shown(owner, value) if owner is not None else name, "optimizer", each, True


def called(roots: Iterable[Any]) -> dict[int, tuple[Any, str]]:
    """The variables of models and their names, by the array that each holds: a state may be made of these."""
    own = [(each, model) for model in roots if is_model(model) for each in model.variables]
    return {id(each._value): (each, shown(each, model)) for each, model in own if each._value is not None}


def shown(variable: Any, model: Any) -> str:
    """The path of a variable, with dots, without its model's name."""
    parts = variable.path.split("/")
    if len(parts) > 1 and parts[0] == getattr(model, "name", None):
        parts = parts[1:]
    return ".".join(parts)


def _role(variable: Any, trained: bool) -> str:
    if variable.name in STATISTICS:
        return "statistic"
    return "leaf" if trained or "float" in str(variable.dtype) else "other"


def states(value: Any) -> dict[Any, Any]:
    """What every variable of a model or an optimizer holds."""
    return {id(each): (each, each._value) for _, _, each, _ in variables(value)}


def unbuilt(value: Any) -> list[Any]:
    """What is built when it is first used: the optimizer, the layers."""
    layers = value._flatten_layers() if is_model(value) else ()
    return [each for each in (optimizer_of(value), *layers) if each is not None and not getattr(each, "built", True)]
